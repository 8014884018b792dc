import { createHash } from 'node:crypto';
import type { Sequence } from './sequence.js';

/** The sequences of one sample with its place in the draw. */
export interface Candidate {
  readonly sequences: readonly Sequence[];
  /** Uniform in [0, 1) by seed, source and record: the lowest are drawn first, whatever order samples came in. */
  readonly draw: number;
  readonly tokens: number;
  /** Taken before all others, and never left out. */
  readonly required?: boolean;
}

/** A group from which tokens are drawn to a quota: one language of one source. */
export interface Stratum {
  readonly source: string;
  readonly language: string;
}

const DRAW_BITS = 48;

/** A reproducible uniform number for a sample: no state, so neither workers nor the order of reading can change a mix. */
export function drawOf(seed: number, source: string, recordId: string): number {
  const digest = createHash('sha256').update(`${seed}\0${source}\0${recordId}`).digest();
  return digest.readUIntBE(0, DRAW_BITS / 8) / 2 ** DRAW_BITS;
}

/** What a stratum could give of a budget, in the order of the strata given. */
export type ShareBudget = (
  strata: readonly { readonly key: Stratum; readonly available: number }[],
  budget: number,
) => readonly number[];

/** All strata together may hold so many capacities; then each is cut to so many times what it could give by then. */
const MOST_CAPACITIES = 8;
const KEPT_SHARES = 4;

interface StratumHeap {
  readonly key: Stratum;
  readonly heap: Candidate[];
  tokens: number;
  /** Draws from here on were let go, so that later ones are, too: what is kept stays a uniform sample. */
  ceiling: number;
}

/**
 * Keeps, of an endless stream, the samples with the lowest draws of every stratum, up to `capacity` tokens each and
 * {@link MOST_CAPACITIES} times that in all: a uniform sample without replacement in memory that grows neither with the
 * input nor with the number of sources and languages.
 */
export class CandidatePool {
  readonly #capacity: number;
  readonly #share: ShareBudget | null;
  readonly #strata = new Map<string, StratumHeap>();
  #tokens = 0;

  /** @param share what the strata are cut by when there are many; without it each keeps its capacity */
  constructor(capacity: number, share: ShareBudget | null = null) {
    this.#capacity = capacity;
    this.#share = share;
  }

  add(key: Stratum, candidate: Candidate): void {
    const name = `${key.source}\0${key.language}`;
    const stratum = this.#strata.get(name) ?? { key, heap: [], tokens: 0, ceiling: 1 };
    this.#strata.set(name, stratum);
    if (candidate.required !== true && candidate.draw >= stratum.ceiling) return;
    push(stratum.heap, candidate);
    stratum.tokens += candidate.tokens;
    this.#tokens += candidate.tokens;
    this.#cut(stratum, this.#capacity);
    if (this.#share !== null && this.#tokens > MOST_CAPACITIES * this.#capacity) this.#cutAll(this.#share);
  }

  /** Lets the highest draws go as long as `tokens` remain. */
  #cut(stratum: StratumHeap, tokens: number): void {
    for (
      let top = stratum.heap[0];
      top !== undefined && top.required !== true && stratum.tokens - top.tokens >= tokens;
      top = stratum.heap[0]
    ) {
      stratum.tokens -= top.tokens;
      this.#tokens -= top.tokens;
      stratum.ceiling = top.draw;
      pop(stratum.heap);
    }
  }

  /**
   * A stratum's part of the budget only shrinks as more is read of the others, so that a few times its part now is more
   * than it can be asked for in the end.
   */
  #cutAll(share: ShareBudget): void {
    const strata = [...this.#strata.values()];
    const targets = share(
      strata.map(({ key, tokens }) => ({ key, available: tokens })),
      this.#capacity,
    );
    for (const [index, stratum] of strata.entries()) this.#cut(stratum, KEPT_SHARES * (targets[index] ?? 0));
  }

  /** Every stratum with its candidates by rising draw; strata by source and language. */
  strata(): { readonly key: Stratum; readonly candidates: readonly Candidate[] }[] {
    return [...this.#strata.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { key, heap }]) => ({ key, candidates: [...heap].sort(byDraw) }));
  }
}

/** By draw, the required ones first; the record settles the 2⁻⁴⁸ case. */
function byDraw(a: Candidate, b: Candidate): number {
  if ((a.required === true) !== (b.required === true)) return a.required === true ? -1 : 1;
  if (a.draw !== b.draw) return a.draw - b.draw;
  return (a.sequences[0]?.recordId ?? '') < (b.sequences[0]?.recordId ?? '') ? -1 : 1;
}

/** A binary heap with the highest draw on top. */
function push(heap: Candidate[], candidate: Candidate): void {
  let at = heap.length;
  heap.push(candidate);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || byDraw(above, candidate) >= 0) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = candidate;
}

function pop(heap: Candidate[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) break;
    if (right !== undefined && byDraw(right, left) > 0) child++;
    const larger = heap[child];
    if (larger === undefined || byDraw(larger, last) <= 0) break;
    heap[at] = larger;
    at = child;
  }
  heap[at] = last;
}
