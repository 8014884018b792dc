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

/** All tokens of one layer; every expert has its own popularity, and every language its own taste. */
export function syntheticRouting(
  sequences: readonly Sequence[],
  layer: number,
  experts: number,
  topK: number,
  seed = 1,
  skew = 3,
): RoutingBatch {
  const random = randomFrom(seed * 7919 + layer);
  const popularity = Float64Array.from({ length: experts }, () => random() ** skew + 1e-4);
  const tastes = new Map<string, Float64Array>();
  const tasteOf = (language: string): Float64Array => {
    let rising = tastes.get(language);
    if (rising === undefined) {
      let sum = 0;
      rising = popularity.map((weight) => (sum += weight * (0.1 + random())));
      tastes.set(language, rising);
    }
    return rising;
  };
  const total = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const sequenceOf = new Int32Array(total);
  const positionOf = new Int32Array(total);
  const chosen = new Int32Array(total * topK);
  const weights = new Float32Array(total * topK);
  let t = 0;
  sequences.forEach(({ inputIds, language }, s) => {
    const rising = tasteOf(language);
    for (let p = 0; p < inputIds.length; p++, t++) {
      sequenceOf[t] = s;
      positionOf[t] = p;
      for (let k = 0; k < topK;) {
        const expert = firstAbove(rising, random() * rising[experts - 1]!);
        if (chosen.subarray(t * topK, t * topK + k).includes(expert)) continue;
        chosen[t * topK + k] = expert;
        weights[t * topK + k++] = random();
      }
    }
  });
  return { layer, experts, topK, sequenceOf, positionOf, chosen, weights };
}

function firstAbove(rising: Float64Array, value: number): number {
  let [from, to] = [0, rising.length - 1];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (rising[middle]! <= value) from = middle + 1;
    else to = middle;
  }
  return from;
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
