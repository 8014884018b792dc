/** How a family turns router logits into chosen experts and weights; always computed in f32. */
export type RouterRule =
  /** softmax over all experts, top-k, renormalized or not (qwen2_moe, qwen3_moe, olmoe, mixtral). */
  | {
      readonly kind: 'softmax';
      readonly normalize: boolean;
      readonly scale: number;
      readonly groups: GroupLimit | null;
    }
  /** top-k of the logits, softmax over the chosen (granitemoe, gpt_oss). */
  | { readonly kind: 'softmax-of-chosen' }
  /** sigmoid; a bias corrects the choice only (deepseek_v3, glm4_moe, minimax_m2, dots1, lfm2_moe). */
  | {
      readonly kind: 'sigmoid';
      readonly correctionBias: string | null;
      readonly normalize: boolean;
      /** Added to the sum of chosen scores before dividing. */
      readonly normalizeEpsilon: number;
      readonly scale: number;
      readonly groups: GroupLimit | null;
    }
  /** top-k of the logits, sigmoid of the chosen (llama4). */
  | { readonly kind: 'sigmoid-of-chosen' }
  /** softmax; a bias corrects the choice; the sum is clamped below (ernie4_5_moe). */
  | { readonly kind: 'softmax-corrected'; readonly correctionBias: string | null; readonly minimumSum: number }
  /** phimoe's sparsemixer: top-2 by masked softmax, without jitter at inference. */
  | { readonly kind: 'sparsemixer'; readonly jitter: number };

/** Only the best `keep` of `count` equal groups of experts may be chosen; a group scores the sum of its `top` best. */
export interface GroupLimit {
  readonly count: number;
  readonly keep: number;
  readonly top: 1 | 2;
}

export interface Routing {
  /** Chosen experts in falling order of choice score, [tokens × topK]. */
  readonly chosen: Int32Array;
  /** Routing weights, [tokens × topK]. */
  readonly weights: Float32Array;
}

/**
 * Apply a router rule to logits [tokens × experts]. Ties go to the lower expert index. Returns `into`.
 *
 * Sources: transformers' modeling files of the families named at RouterRule; group limits from DeepSeek-V3
 * (arXiv 2412.19437 §2.1.2), sparsemixer from Phi-3.5-MoE's modeling file.
 */
export function route(
  rule: RouterRule,
  logits: Float32Array,
  experts: number,
  topK: number,
  correctionBias: Float32Array | null,
  into: Routing = emptyRouting((logits.length / experts) * topK),
): Routing {
  const { chosen, weights } = into;
  const tokens = logits.length / experts;
  const row = new Float32Array(experts);
  const choice = new Float32Array(experts);
  const picked = new Int32Array(topK);
  const out = new Float32Array(topK);
  // Values are copied one by one: for rows as short as these a view takes longer to make than to read.
  for (let token = 0; token < tokens; token++) {
    for (let e = 0, from = token * experts; e < experts; e++) row[e] = logits[from + e]!;
    routeToken(rule, row, choice, correctionBias, picked, out);
    for (let k = 0, at = token * topK; k < topK; k++) {
      chosen[at + k] = picked[k]!;
      weights[at + k] = out[k]!;
    }
  }
  return into;
}

function emptyRouting(slots: number): Routing {
  return { chosen: new Int32Array(slots), weights: new Float32Array(slots) };
}

function routeToken(
  rule: RouterRule,
  scores: Float32Array,
  choice: Float32Array,
  bias: Float32Array | null,
  picked: Int32Array,
  weights: Float32Array,
): void {
  switch (rule.kind) {
    case 'softmax':
      if (rule.groups === null && rule.normalize) {
        // Renormalized, the weights of the chosen are their own softmax: most exponentials need not be taken.
        pick(scores, picked);
        gather(scores, picked, weights);
        softmax(weights);
        multiply(weights, rule.scale);
        return;
      }
      softmax(scores);
      if (rule.groups === null) {
        pick(scores, picked);
      } else {
        choice.set(scores);
        limitGroups(choice, rule.groups, 0);
        pick(choice, picked);
      }
      gather(scores, picked, weights);
      if (rule.normalize) divide(weights, sum(weights));
      multiply(weights, rule.scale);
      return;
    case 'softmax-of-chosen':
      pick(scores, picked);
      gather(scores, picked, weights);
      softmax(weights);
      return;
    case 'sigmoid':
      for (let e = 0; e < scores.length; e++) {
        scores[e] = sigmoid(scores[e]!);
        choice[e] = scores[e]! + (bias === null ? 0 : bias[e]!);
      }
      if (rule.groups !== null) limitGroups(choice, rule.groups, -Infinity);
      pick(choice, picked);
      gather(scores, picked, weights);
      if (rule.normalize) divide(weights, sum(weights) + rule.normalizeEpsilon);
      multiply(weights, rule.scale);
      return;
    case 'sigmoid-of-chosen':
      pick(scores, picked);
      for (let k = 0; k < picked.length; k++) weights[k] = sigmoid(scores[picked[k]!]!);
      return;
    case 'softmax-corrected':
      softmax(scores);
      for (let e = 0; e < scores.length; e++) choice[e] = scores[e]! + (bias === null ? 0 : bias[e]!);
      pick(choice, picked);
      gather(scores, picked, weights);
      divide(weights, Math.max(sum(weights), rule.minimumSum));
      return;
    case 'sparsemixer':
      sparsemixer(scores, rule.jitter, picked, weights);
      return;
  }
}

/**
 * Each of the k experts is the best one left; its weight is its softmax among those within a relative distance of
 * 2·jitter of it.
 */
function sparsemixer(scores: Float32Array, jitter: number, picked: Int32Array, weights: Float32Array): void {
  const left = Float32Array.from(scores);
  for (let k = 0; k < picked.length; k++) {
    const best = argmax(left);
    const top = left[best]!;
    let total = 0;
    for (let e = 0; e < scores.length; e++) {
      const factor = Math.max(Math.abs(scores[e]!), Math.abs(top));
      const isFar = (top - scores[e]!) / factor > 2 * jitter;
      if (!isFar && left[e] !== -Infinity) total += Math.exp(left[e]! - top);
    }
    picked[k] = best;
    weights[k] = 1 / total;
    left[best] = -Infinity;
  }
}

function limitGroups(choice: Float32Array, { count, keep, top }: GroupLimit, excluded: number): void {
  const size = choice.length / count;
  const scores = new Float32Array(count);
  for (let group = 0; group < count; group++) {
    const members = choice.slice(group * size, (group + 1) * size).sort((a, b) => b - a);
    scores[group] = top === 1 ? members[0]! : Math.fround(members[0]! + (members[1] ?? 0));
  }
  const kept = new Int32Array(keep);
  pick(scores, kept);
  for (let group = 0; group < count; group++) {
    if (!kept.includes(group)) choice.fill(excluded, group * size, (group + 1) * size);
  }
}

/** The indices of the largest values, in falling order, the lower index first among equals. */
function pick(values: Float32Array, picked: Int32Array): void {
  const wanted = picked.length;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (count === wanted && !(value > values[picked[wanted - 1]!]!)) continue;
    let at = count < wanted ? count++ : wanted - 1;
    for (; at > 0 && value > values[picked[at - 1]!]!; at--) picked[at] = picked[at - 1]!;
    picked[at] = i;
  }
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function softmax(values: Float32Array): void {
  const largest = values[argmax(values)]!;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    values[i] = Math.exp(values[i]! - largest);
    total += values[i]!;
  }
  divide(values, total);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function gather(values: Float32Array, indices: Int32Array, out: Float32Array): void {
  for (let k = 0; k < indices.length; k++) out[k] = values[indices[k]!]!;
}

function sum(values: Float32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function divide(values: Float32Array, divisor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! / divisor;
}

function multiply(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! * factor;
}
