import type { BlockContext } from '../graph/context.js';
import type { Feed } from './sessions.js';

/** Sums over the tokens a Linear's input was seen with. */
export interface TapSums {
  /** Σ xxᵀ, [features × features]. */
  readonly gram: Float32Array;
  /** Σ |x|, [features]; zero where the graph does not return it. */
  readonly absolute: Float32Array;
}

/** The sums of a graph's taps, added up over its calls. */
export interface RunningSums<Name extends string> {
  readonly sums: ReadonlyMap<Name, TapSums>;
  /** The sums so far, as the graph's inputs. */
  readonly feeds: Readonly<Record<string, Feed>>;
  /** The same buffers as its outputs: Gemm adds to its addend where it stands. */
  readonly outputs: Readonly<Record<string, Feed>>;
  /** To be called behind each run: what the graph returns of Σ|x| is that run's own. */
  add(): void;
}

/**
 * @param widths features of each tap by name; the taps that the graph does not have are left out
 * @param rooms where Grams go, in place of fresh arrays
 */
export function createRunningSums<Name extends string>(
  graph: BlockContext,
  widths: ReadonlyMap<Name, number>,
  rooms: Partial<Readonly<Record<Name, Float32Array>>> = {},
): RunningSums<Name> {
  const sums = new Map<Name, TapSums>();
  const feeds: Record<string, Feed> = {};
  const outputs: Record<string, Feed> = {};
  const own: { readonly total: Float32Array; readonly run: Float32Array }[] = [];
  const wanted = new Set(graph.graph.outputs);
  for (const [tap, width] of widths) {
    if (!wanted.has(`gram.${tap}`)) continue;
    const gram = { data: rooms[tap]?.fill(0) ?? new Float32Array(width * width), shape: [width, width] };
    const total = new Float32Array(width);
    feeds[`gram.${tap}.sum`] = gram;
    outputs[`gram.${tap}`] = gram;
    sums.set(tap, { gram: gram.data, absolute: total });
    if (!wanted.has(`abs.${tap}`)) continue;
    const run = new Float32Array(width);
    outputs[`abs.${tap}`] = { data: run, shape: [width] };
    own.push({ total, run });
  }
  return {
    sums,
    feeds,
    outputs,
    add() {
      for (const { total, run } of own) for (let i = 0; i < total.length; i++) total[i]! += run[i]!;
    },
  };
}
