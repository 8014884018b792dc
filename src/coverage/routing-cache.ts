import { createHash } from 'node:crypto';
import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { allocateSparse, type SparseCounts } from '../mix/balance-counts.js';
import { writeFileAtomically } from '../mix/atomic-file.js';
import {
  encodePack,
  readPackIndex,
  readPackRecord,
  unpackRouting,
  type PackedRouting,
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
  /** The counts of each sequence, or null where they are not known for this number of cells. */
  read(sequences: readonly TokenIds[], cellCount: number): Promise<(PackedRouting | null)[]>;
  /** Keeps the counts of all sequences, in one file that is there whole or not at all. */
  write(sequences: readonly TokenIds[], counts: SparseCounts): Promise<void>;
}

interface TokenIds {
  readonly inputIds: Int32Array;
}

const EXTENSION = '.routing';

/** @param model from `fingerprintModel` */
export async function openRoutingCache(directory: string, model: string): Promise<RoutingCache> {
  const folder = join(directory, model);
  await mkdir(folder, { recursive: true });
  const known = new Map<string, { readonly path: string; readonly entry: PackEntry }>();
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
    async read(sequences, cellCount) {
      const found = sequences.map((sequence) => known.get(sequenceKey(sequence)));
      const counts: (PackedRouting | null)[] = sequences.map(() => null);
      for (const path of new Set(found.map((place) => place?.path))) {
        if (path === undefined) continue;
        const file = await open(path, 'r');
        try {
          for (const [i, place] of found.entries()) {
            if (place?.path === path && place.entry.cellCount === cellCount) {
              counts[i] = await readPackRecord(file, place.entry);
            }
          }
        } finally {
          await file.close();
        }
      }
      return counts;
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

/**
 * Puts the counts of single sequences together, in their order.
 *
 * @param mostTokens of any of the sequences: no cell can get more of one
 */
export function joinCounts(
  rows: readonly (RoutingCounts | PackedRouting)[],
  cellCount: number,
  mostTokens: number,
): SparseCounts {
  const offsets = new Float64Array(rows.length + 1);
  rows.forEach((row, i) => (offsets[i + 1] = offsets[i]! + ('payload' in row ? row.entries : row.cells.length)));
  const joined = allocateSparse(rows.length, cellCount, offsets, mostTokens);
  rows.forEach((row, i) => {
    if ('payload' in row) return unpackRouting(row, joined.cells, joined.counts, offsets[i]!);
    joined.cells.set(row.cells, offsets[i]);
    joined.counts.set(row.counts, offsets[i]);
  });
  return joined;
}

/** The largest of lengths in tokens; 0 of none. */
export function longest(lengths: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < lengths.length; i++) most = Math.max(most, lengths[i]!);
  return most;
}
