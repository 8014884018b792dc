import type { Saturation, SaturationPoint } from './coverage.js';

/** Points of the curve; more would not be seen. */
const POINTS = 32;

/** Sequences dealt to the stretches between the curve's points, in a shuffled order. */
export interface SaturationBins {
  readonly bins: number;
  /** Bin of every sequence. */
  readonly of: Int32Array;
  /** Tokens up to and including each bin. */
  readonly tokens: readonly number[];
}

/** Deals the sequences, shuffled by a fixed hash of their position, to bins of nearly equal tokens. */
export function saturationBins(lengths: ArrayLike<number>): SaturationBins {
  const order = Array.from({ length: lengths.length }, (_, i) => i).sort((a, b) => scramble(a) - scramble(b) || a - b);
  const total = order.reduce((sum, i) => sum + lengths[i]!, 0);
  const bins = Math.max(1, Math.min(POINTS, order.length));
  const of = new Int32Array(lengths.length);
  const tokens = Array.from({ length: bins }, () => 0);
  let before = 0;
  for (const i of order) {
    const bin = Math.min(bins - 1, Math.floor((before / Math.max(1, total)) * bins));
    of[i] = bin;
    before += lengths[i]!;
    tokens[bin] = before;
  }
  for (let b = 1; b < bins; b++) tokens[b] = Math.max(tokens[b]!, tokens[b - 1]!);
  return { bins, of, tokens };
}

/** Counts how many cells are fed and at the floor after each bin, layer by layer. */
export interface SaturationCurve {
  /** @param routed routed tokens, [bins × experts] */
  addLayer(routed: ArrayLike<number>, experts: number): void;
  /** @param totals routed tokens of each layer, [experts] */
  finish(totals: readonly ArrayLike<number>[]): Saturation;
}

export function createSaturationCurve({ bins, tokens }: SaturationBins, floor: number): SaturationCurve {
  const atFloor = new Float64Array(bins);
  const fed = new Float64Array(bins);
  return {
    addLayer(routed, experts) {
      for (let e = 0; e < experts; e++) {
        let sum = 0;
        for (let b = 0; b < bins; b++) {
          sum += routed[b * experts + e]!;
          if (sum > 0) fed[b]! += 1;
          if (sum >= floor) atFloor[b]! += 1;
        }
      }
    },
    finish(totals) {
      const points: SaturationPoint[] = tokens
        .map((reached, b) => ({ tokens: reached, atFloor: atFloor[b]!, fed: fed[b]! }))
        .filter((point, b) => b === 0 || point.tokens > tokens[b - 1]!);
      return { points, ...extrapolate(totals, tokens.at(-1) ?? 0, floor) };
    },
  };
}

/** The curve's end alone, where nobody kept its course. */
export function saturationOf(totals: readonly ArrayLike<number>[], tokens: number, floor: number): Saturation {
  const values = totals.flatMap((routed) => Array.from(routed));
  const point = {
    tokens,
    atFloor: values.filter((routed) => routed >= floor).length,
    fed: values.filter((routed) => routed > 0).length,
  };
  return { points: [point], ...extrapolate(totals, tokens, floor) };
}

/** Tokens at which cells reach the floor when each keeps its share: tokens · floor / routed. */
function extrapolate(totals: readonly ArrayLike<number>[], tokens: number, floor: number): Omit<Saturation, 'points'> {
  const rising = Float64Array.from(totals.flatMap((routed) => Array.from(routed))).sort();
  const forShare = (share: number): number | null => {
    const cells = rising.length;
    const weakest = rising[cells - Math.max(1, Math.ceil(cells * share))];
    if (weakest === undefined || weakest === 0) return null;
    return Math.ceil((tokens * floor) / weakest);
  };
  const all = forShare(1);
  return {
    tokensForFloor: { half: forShare(0.5), most: forShare(0.99), all },
    moreTokens: all === null ? null : Math.max(0, all - tokens),
  };
}

/** A fixed permutation of 32-bit numbers (the finalizer of MurmurHash3). */
function scramble(i: number): number {
  let h = i + 1;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
