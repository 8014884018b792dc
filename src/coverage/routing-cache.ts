import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.js';
import { allocateSparse, type SparseCounts } from '../mix/balance-counts.js';
import { writeFileAtomically } from '../mix/atomic-file.js';
import {
  encodePack,
  readPackIndex,
  readPackRecord,
  unpackRouting,
  type PackEntry,
  type RoutingCounts,
} from './routing-pack.js';

/**
 * Routed tokens of sequences that went through a model before, so that a second build with other quotas costs no model
 * pass. One folder per model, one file per build; damaged files and records count as not there.
 */
export interface RoutingCache {
  /** Files that were skipped because they are damaged. */
  readonly damaged: readonly string[];
  /** Where the counts of each sequence stand, undamaged; null where they are not known for this number of cells. */
  find(sequences: readonly TokenIds[], cellCount: number): Promise<(CachedRouting | null)[]>;
  /** Keeps the counts of all sequences, in one file that is there whole or not at all. */
  write(sequences: readonly TokenIds[], counts: SparseCounts): Promise<void>;
}

/** The counts of a sequence on disk: a pool's would fill the memory that choosing from it needs. */
export interface CachedRouting {
  readonly path: string;
  readonly entry: PackEntry;
}

interface TokenIds {
  readonly inputIds: Int32Array;
}

const EXTENSION = '.routing';

/** @param model from `fingerprintModel` */
export async function openRoutingCache(directory: string, model: string): Promise<RoutingCache> {
  const folder = join(directory, model);
  await makeFolder(folder);
  const known = new Map<string, CachedRouting>();
  const damaged: string[] = [];
  const index = async (path: string): Promise<void> => {
    const file = await open(path, 'r');
    try {
      const entries = await readPackIndex(file);
      if (entries === null) damaged.push(path);
      for (const entry of entries ?? []) known.set(entry.key, { path, entry });
    } finally {
      await file.close();
    }
  };
  const names = (await readdir(folder)).filter((name) => name.endsWith(EXTENSION) && !name.startsWith('.')).sort();
  for (const name of names) await index(join(folder, name));

  return {
    damaged,
    async find(sequences, cellCount) {
      const places = sequences.map((sequence) => {
        const place = known.get(sequenceKey(sequence));
        return place?.entry.cellCount === cellCount ? place : null;
      });
      const isWhole = new Map<CachedRouting, boolean>();
      await readEach(places, (payload, place) => isWhole.set(place, payload !== null));
      return places.map((place) => (place !== null && isWhole.get(place) === true ? place : null));
    },
    async write(sequences, sparse) {
      const { cellCount } = sparse;
      const records = sequences.map((sequence, i) => ({ key: sequenceKey(sequence), ...rowOf(sparse, i) }));
      const unseen = records.filter(({ key }) => known.get(key)?.entry.cellCount !== cellCount);
      if (unseen.length === 0) return;
      const pack = encodePack(unseen, cellCount);
      const path = join(folder, `${createHash('sha256').update(pack).digest('hex').slice(0, 32)}${EXTENSION}`);
      await writeFileAtomically(path, pack);
      await index(path);
    },
  };
}

/** sha256 of the token ids as little-endian i32, hex. */
export function sequenceKey({ inputIds }: TokenIds): string {
  return createHash('sha256')
    .update(new Uint8Array(inputIds.buffer, inputIds.byteOffset, inputIds.byteLength))
    .digest('hex');
}

/** The counts of one sequence out of many; a view, not a copy. */
export function rowOf({ offsets, cells, counts }: SparseCounts, index: number): RoutingCounts {
  const [from, to] = [offsets[index], offsets[index + 1]];
  return { cells: cells.subarray(from, to), counts: counts.subarray(from, to) };
}

/** Reads the records of places, a file at a time and each place once; `payload` is null where a record is damaged. */
async function readEach(
  places: readonly (CachedRouting | RoutingCounts | null)[],
  use: (payload: Uint8Array | null, place: CachedRouting) => void,
): Promise<void> {
  const byPath = new Map<string, Set<CachedRouting>>();
  for (const place of places) {
    if (place === null || !('path' in place)) continue;
    byPath.set(place.path, (byPath.get(place.path) ?? new Set()).add(place));
  }
  for (const [path, own] of byPath) {
    const file = await open(path, 'r');
    try {
      for (const place of own) use(await readPackRecord(file, place.entry), place);
    } finally {
      await file.close();
    }
  }
}

/**
 * Puts the counts of single sequences together, in their order.
 *
 * @param mostTokens of any of the sequences: no cell can get more of one
 */
export function joinCounts(rows: readonly RoutingCounts[], cellCount: number, mostTokens: number): SparseCounts {
  const joined = roomFor(rows, cellCount, mostTokens);
  rows.forEach((row, i) => copyRow(row, joined, i));
  return joined;
}

/** {@link joinCounts} of rows of which some are in the cache still. @throws Error when they changed there since */
export async function joinCached(
  rows: readonly (RoutingCounts | CachedRouting)[],
  cellCount: number,
  mostTokens: number,
): Promise<SparseCounts> {
  const joined = roomFor(rows, cellCount, mostTokens);
  const at = new Map<CachedRouting, number[]>();
  rows.forEach((row, i) => {
    if ('path' in row) at.set(row, [...(at.get(row) ?? []), i]);
    else copyRow(row, joined, i);
  });
  await readEach(rows, (payload, place) => {
    if (payload === null) throw new Error(`read cached routing: '${place.path}' changed while it was in use`);
    for (const i of at.get(place)!) unpackRouting(payload, place.entry, joined, joined.offsets[i]!);
  });
  return joined;
}

function roomFor(
  rows: readonly (RoutingCounts | CachedRouting)[],
  cellCount: number,
  mostTokens: number,
): SparseCounts {
  const offsets = new Float64Array(rows.length + 1);
  rows.forEach((row, i) => {
    offsets[i + 1] = offsets[i]! + ('path' in row ? row.entry.entries : row.cells.length);
  });
  return allocateSparse(rows.length, cellCount, offsets, mostTokens);
}

function copyRow({ cells, counts }: RoutingCounts, joined: SparseCounts, index: number): void {
  joined.cells.set(cells, joined.offsets[index]);
  joined.counts.set(counts, joined.offsets[index]);
}

/** The largest of lengths in tokens; 0 of none. */
export function longest(lengths: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < lengths.length; i++) most = Math.max(most, lengths[i]!);
  return most;
}
