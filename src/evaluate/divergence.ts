/** One token's comparison of two models, in nats. */
export interface TokenDivergence {
  /** KL(p‖q) of the next-token distributions. */
  readonly kl: Float64Array;
  /** −log p and −log q of the token that really follows; NaN at a sequence's last position. */
  readonly surprise: Float64Array;
  readonly otherSurprise: Float64Array;
  /** 1 where both models' likeliest next token agree. */
  readonly agrees: Uint8Array;
}

/** What spans of the vocabulary add up to, per token: side 0 is the reference p, side 1 the other model q. */
export interface Partitions {
  /** log Σ e^l over the spans so far. */
  readonly log: readonly [p: Float64Array, q: Float64Array];
  /** E_p[l_p − l_q] over the spans so far, p renormalized to them. */
  readonly difference: Float64Array;
  readonly best: readonly [p: Int32Array, q: Int32Array];
  readonly bestLogit: readonly [p: Float64Array, q: Float64Array];
}

export function createPartitions(tokens: number): Partitions {
  const low = (): Float64Array => new Float64Array(tokens).fill(-Infinity);
  return {
    log: [low(), low()],
    difference: new Float64Array(tokens),
    best: [new Int32Array(tokens), new Int32Array(tokens)],
    bestLogit: [low(), low()],
  };
}

/** One span's outputs of the divergence graph. */
export interface SpanOutputs {
  /** First logit of each row, [tokens]. */
  readonly first: readonly [p: Float32Array, q: Float32Array];
  /** Log-softmax within the span, [tokens × width]. */
  readonly log: readonly [p: Float32Array, q: Float32Array];
  /** Softmax of p within the span, [tokens × width]. */
  readonly share: Float32Array;
}

/**
 * Adds the vocabulary span that begins at token id `begin`. Within a span log Σ e^l is the first logit less its
 * log-softmax; spans combine by their weight under p.
 */
export function addSpan(partitions: Partitions, span: SpanOutputs, begin: number): void {
  const { log, difference, best, bestLogit } = partitions;
  const tokens = difference.length;
  const width = span.share.length / tokens;
  const [p, q] = span.log;
  for (let t = 0; t < tokens; t++) {
    let [kl, bestP, bestQ] = [0, t * width, t * width];
    for (let at = t * width; at < (t + 1) * width; at++) {
      kl += span.share[at]! * (p[at]! - q[at]!);
      if (p[at]! > p[bestP]!) bestP = at;
      if (q[at]! > q[bestQ]!) bestQ = at;
    }
    const own = [span.first[0][t]! - p[t * width]!, span.first[1][t]! - q[t * width]!] as const;
    const total = logAdd(log[0][t]!, own[0]);
    const mean = kl + own[0] - own[1];
    difference[t] = difference[t]! * Math.exp(log[0][t]! - total) + mean * Math.exp(own[0] - total);
    for (const [side, at, logs] of [
      [0, bestP, p],
      [1, bestQ, q],
    ] as const) {
      const logit = logs[at]! + own[side];
      if (logit > bestLogit[side][t]!) {
        bestLogit[side][t] = logit;
        best[side][t] = begin + at - t * width;
      }
      log[side][t] = logAdd(log[side][t]!, own[side]);
    }
  }
}

/** KL(p‖q) = E_p[l_p − l_q] − log Z_p + log Z_q; rounding may leave it a hair below 0. */
export function klDivergence({ difference, log }: Partitions, token: number): number {
  return Math.max(0, difference[token]! - log[0][token]! + log[1][token]!);
}

function logAdd(a: number, b: number): number {
  const most = Math.max(a, b);
  return most === -Infinity ? most : most + Math.log(Math.exp(a - most) + Math.exp(b - most));
}
