import { MERGED, RANK, type PairTable } from './pair-table.js';

/** Above this many symbols a heap beats looking at every pair again after each merge. */
const MOST_SCANNED = 48;

/**
 * Merges neighbouring symbols in place, the lowest rank first, of equal ones the leftmost.
 *
 * @returns how many symbols are left
 */
export function mergeSymbols(symbols: number[], table: PairTable): number {
  return symbols.length > MOST_SCANNED ? mergeByHeap(symbols, table) : mergeByScanning(symbols, table);
}

function mergeByScanning(symbols: number[], { find, slots }: PairTable): number {
  const places: number[] = [];
  for (let at = 0; at + 1 < symbols.length; at++) places.push(find(symbols[at] ?? -1, symbols[at + 1] ?? -1));
  for (;;) {
    let best = -1;
    let rank = Number.POSITIVE_INFINITY;
    for (let at = 0; at < places.length; at++) {
      const place = places[at] ?? -1;
      if (place < 0) continue;
      const own = slots[place + RANK] ?? 0;
      if (own >= rank) continue;
      rank = own;
      best = at;
    }
    if (best === -1) return symbols.length;
    symbols.splice(best, 2, slots[(places[best] ?? 0) + MERGED] ?? 0);
    places.splice(best, 1);
    if (best > 0) places[best - 1] = find(symbols[best - 1] ?? -1, symbols[best] ?? -1);
    if (best < places.length) places[best] = find(symbols[best] ?? -1, symbols[best + 1] ?? -1);
  }
}

/** A pair as it was when it was found; it may be gone when its turn comes. */
interface Waiting {
  readonly rank: number;
  readonly at: number;
  readonly left: number;
  readonly right: number;
  readonly merged: number;
}

const GONE = -2;

function mergeByHeap(symbols: number[], { find, slots }: PairTable): number {
  const next = symbols.map((_, at) => (at + 1 < symbols.length ? at + 1 : GONE));
  const before = symbols.map((_, at) => (at === 0 ? GONE : at - 1));
  const gone = new Uint8Array(symbols.length);
  const heap: Waiting[] = [];
  const wait = (at: number) => {
    const after = next[at] ?? GONE;
    if (at < 0 || after < 0) return;
    const [left, right] = [symbols[at] ?? -1, symbols[after] ?? -1];
    const place = find(left, right);
    if (place >= 0) push(heap, { rank: slots[place + RANK] ?? 0, at, left, right, merged: slots[place + MERGED] ?? 0 });
  };
  for (let at = 0; at < symbols.length; at++) wait(at);
  for (let pair = pop(heap); pair !== undefined; pair = pop(heap)) {
    const after = next[pair.at] ?? GONE;
    if (gone[pair.at] === 1 || symbols[pair.at] !== pair.left || after < 0 || symbols[after] !== pair.right) continue;
    symbols[pair.at] = pair.merged;
    gone[after] = 1;
    const beyond = next[after] ?? GONE;
    next[pair.at] = beyond;
    if (beyond >= 0) before[beyond] = pair.at;
    wait(before[pair.at] ?? GONE);
    wait(pair.at);
  }
  let length = 0;
  for (let at = 0; at >= 0 && at < gone.length; at = next[at] ?? GONE) symbols[length++] = symbols[at] ?? 0;
  symbols.length = length;
  return length;
}

function isSooner(a: Waiting, b: Waiting): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.at < b.at);
}

function push(heap: Waiting[], pair: Waiting): void {
  let at = heap.length;
  heap.push(pair);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isSooner(pair, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = pair;
}

function pop(heap: Waiting[]): Waiting | undefined {
  const [top] = heap;
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) break;
    if (right !== undefined && isSooner(right, left)) child++;
    const sooner = heap[child];
    if (sooner === undefined || !isSooner(sooner, last)) break;
    heap[at] = sooner;
    at = child;
  }
  heap[at] = last;
  return top;
}
