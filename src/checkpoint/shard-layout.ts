import type { TensorEntry } from './encode.js';
import { elementCount } from './slice.js';
import { INDEX_FILE, SINGLE_FILE } from './shards.js';
import { DTYPE_BITS } from './tensor-source.js';

/** The Hub's customary shard size. */
export const DEFAULT_SHARD_BYTES = 5_000_000_000;

/** One file of the checkpoint to be, laid out before any of its data exists. */
export interface ShardLayout {
  readonly file: string;
  /** Length prefix and header, as they open the file. */
  readonly header: Uint8Array;
  readonly size: number;
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
}

export interface PlacedTensor extends TensorEntry {
  readonly bytes: number;
  /** Byte position within the file. */
  readonly position: number;
}

export function byteLength({ dtype, shape }: Pick<TensorEntry, 'dtype' | 'shape'>): number {
  return (DTYPE_BITS[dtype] * elementCount(shape)) / 8;
}

/**
 * Distributes tensors over shards in the order given, each as full as `maxBytes` allows; a larger tensor gets a shard
 * of its own. Within a shard wide dtypes come first, so that every tensor is aligned to its element: torch refuses to
 * view misaligned bytes.
 */
export function layOutShards(entries: readonly TensorEntry[], maxBytes = DEFAULT_SHARD_BYTES): ShardLayout[] {
  const groups: TensorEntry[][] = [];
  let room = 0;
  for (const entry of entries) {
    const bytes = byteLength(entry);
    if (bytes > room || groups.length === 0) {
      groups.push([]);
      room = maxBytes;
    }
    groups.at(-1)?.push(entry);
    room -= bytes;
  }
  return groups.map((group, i) => layOut(shardName(i, groups.length), group));
}

function shardName(index: number, count: number): string {
  if (count === 1) return SINGLE_FILE;
  const [number, total] = [index + 1, count].map((n) => String(n).padStart(5, '0'));
  return `model-${number}-of-${total}.safetensors`;
}

function layOut(file: string, entries: readonly TensorEntry[]): ShardLayout {
  const ordered = entries.toSorted((a, b) => DTYPE_BITS[b.dtype] - DTYPE_BITS[a.dtype]);
  let end = 0;
  const offsets = new Map(ordered.map((entry) => [entry.name, [end, (end += byteLength(entry))] as const]));
  const sorted = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const described = sorted.map(({ name, dtype, shape }) => [name, { dtype, shape, data_offsets: offsets.get(name) }]);
  const header: unknown = Object.fromEntries([['__metadata__', { format: 'pt' }], ...described]);
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  const tensors = ordered.map((entry): [string, PlacedTensor] => {
    const [begin, tensorEnd] = offsets.get(entry.name)!;
    return [entry.name, { ...entry, bytes: tensorEnd - begin, position: bytes.length + begin }];
  });
  return { file, header: bytes, size: bytes.length + end, tensors: new Map(tensors) };
}

/** The text of model.safetensors.index.json, or null where a single file needs none. */
export function indexJson(shards: readonly ShardLayout[]): { file: string; text: string } | null {
  if (shards.length < 2) return null;
  const placed = shards.flatMap(({ file, tensors }) => [...tensors.keys()].map((name) => [name, file] as const));
  placed.sort(([a], [b]) => (a < b ? -1 : 1));
  const total = shards.reduce((sum, shard) => sum + shard.size - shard.header.length, 0);
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(placed) };
  return { file: INDEX_FILE, text: `${JSON.stringify(index, null, 2)}\n` };
}
