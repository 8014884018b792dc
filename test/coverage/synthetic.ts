import type { RoutingBatch } from '../../src/coverage/routing.js';
import { CHANNELS, type Sequence } from '../../src/mix/sequence.js';

/** A small fast generator (mulberry32), 0 ≤ value < 1. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface SyntheticOptions {
  readonly seed: number;
  readonly sequences: number;
  readonly length: number;
  readonly languages: readonly string[];
  readonly sources?: readonly string[];
  readonly categories?: readonly string[];
  /** Windows per sample. */
  readonly windows?: number;
}

export function syntheticSequences(options: SyntheticOptions): Sequence[] {
  const { seed, sequences, length, languages, sources = ['a'], categories = ['chat'], windows = 1 } = options;
  const random = randomFrom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const list: Sequence[] = [];
  while (list.length < sequences) {
    const [language, source, category] = [pick(languages), pick(sources), pick(categories)];
    const recordId = `r${list.length}`;
    for (let window = 0; window < windows && list.length < sequences; window++) {
      const tokens = 1 + Math.floor(random() * length);
      list.push({
        inputIds: Int32Array.from({ length: tokens }, () => Math.floor(random() * 1000)),
        channels: Uint8Array.from({ length: tokens }, () => Math.floor(random() * CHANNELS.length)),
        language,
        category,
        source,
        revision: null,
        license: null,
        recordId,
        window,
      });
    }
  }
  return list;
}

/** All tokens of one layer, routed with a skew that depends on the sequence's language. */
export function syntheticRouting(
  sequences: readonly Sequence[],
  layer: number,
  experts: number,
  topK: number,
  seed = 1,
): RoutingBatch {
  const random = randomFrom(seed * 7919 + layer);
  const total = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const sequenceOf = new Int32Array(total);
  const positionOf = new Int32Array(total);
  const chosen = new Int32Array(total * topK);
  const weights = new Float32Array(total * topK);
  let t = 0;
  sequences.forEach(({ inputIds, language }, s) => {
    const home = (language.charCodeAt(0) * 7 + language.charCodeAt(1) + layer * 3) % experts;
    for (let p = 0; p < inputIds.length; p++, t++) {
      sequenceOf[t] = s;
      positionOf[t] = p;
      const taken = new Set<number>();
      while (taken.size < topK) taken.add((home + Math.floor(random() ** 3 * experts)) % experts);
      let k = t * topK;
      for (const expert of taken) {
        chosen[k] = expert;
        weights[k++] = random();
      }
    }
  });
  return { layer, experts, topK, sequenceOf, positionOf, chosen, weights };
}

/** The tokens [from, to) of a batch. */
export function sliceBatch(batch: RoutingBatch, from: number, to: number): RoutingBatch {
  const { topK } = batch;
  return {
    ...batch,
    sequenceOf: batch.sequenceOf.slice(from, to),
    positionOf: batch.positionOf.slice(from, to),
    chosen: batch.chosen.slice(from * topK, to * topK),
    weights: batch.weights.slice(from * topK, to * topK),
  };
}
