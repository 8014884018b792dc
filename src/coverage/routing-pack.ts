import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { decodeVarints, encodeVarints } from './varint.js';

/** One sequence's routed tokens: cells rising, and the tokens that each got; as narrow as the numbers allow. */
export interface RoutingCounts {
  readonly cells: Uint16Array | Uint32Array;
  readonly counts: Uint16Array | Uint32Array;
}

export interface KeyedRouting extends RoutingCounts {
  /** sha256 of the token ids, hex. */
  readonly key: string;
}

/** Where a pack keeps a sequence. */
export interface PackEntry {
  readonly key: string;
  readonly cellCount: number;
  readonly offset: number;
  readonly bytes: number;
  readonly entries: number;
  /** First bytes of the payload's sha256, hex. */
  readonly checksum: string;
}

const MAGIC = Buffer.from('EKROUTE1');
const KEY_BYTES = 32;
const CHECKSUM_BYTES = 16;
const HEAD_BYTES = MAGIC.length + 8;
const ENTRY_BYTES = KEY_BYTES + 16 + CHECKSUM_BYTES;
/** Beyond any pool that fits a machine, and small enough that a damaged number cannot ask for gigabytes of index. */
const MOST_RECORDS = 4_000_000;
/** More experts than any model has: layers × experts. */
const MOST_CELLS = 16_000_000;

/**
 * A pack: magic, cells u32, records u32, the index (key, offset f64, bytes u32, entries u32, checksum), a checksum of all
 * that, and the payloads: differences of cells, then counts, as LEB128. Little endian.
 */
export function encodePack(records: readonly KeyedRouting[], cellCount: number): Uint8Array {
  const payloads = records.map(({ cells, counts }) =>
    encodeVarints([...cells.map((cell, i) => (i === 0 ? cell : cell - cells[i - 1]!)), ...counts]),
  );
  const head = Buffer.alloc(HEAD_BYTES + records.length * ENTRY_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(cellCount, MAGIC.length);
  head.writeUInt32LE(records.length, MAGIC.length + 4);
  let offset = head.length + CHECKSUM_BYTES;
  records.forEach(({ key, cells }, i) => {
    const at = HEAD_BYTES + i * ENTRY_BYTES;
    const payload = payloads[i]!;
    head.write(key, at, KEY_BYTES, 'hex');
    head.writeDoubleLE(offset, at + KEY_BYTES);
    head.writeUInt32LE(payload.length, at + KEY_BYTES + 8);
    head.writeUInt32LE(cells.length, at + KEY_BYTES + 12);
    checksumOf(payload).copy(head, at + KEY_BYTES + 16);
    offset += payload.length;
  });
  return Buffer.concat([head, checksumOf(head), ...payloads]);
}

/** The index of a pack; null when the file is damaged, cut short or something else. */
export async function readPackIndex(file: FileHandle): Promise<PackEntry[] | null> {
  const { size } = await file.stat();
  const start = await readBytes(file, 0, HEAD_BYTES);
  if (start === null || !start.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  const cellCount = start.readUInt32LE(MAGIC.length);
  const records = start.readUInt32LE(MAGIC.length + 4);
  if (records > MOST_RECORDS || cellCount > MOST_CELLS) return null;
  const bytes = HEAD_BYTES + records * ENTRY_BYTES;
  const head = size < bytes + CHECKSUM_BYTES ? null : await readBytes(file, 0, bytes + CHECKSUM_BYTES);
  if (head === null || !checksumOf(head.subarray(0, bytes)).equals(head.subarray(bytes))) return null;
  return Array.from({ length: records }, (_, i) => {
    const entry = head.subarray(HEAD_BYTES + i * ENTRY_BYTES, HEAD_BYTES + (i + 1) * ENTRY_BYTES);
    return {
      key: entry.toString('hex', 0, KEY_BYTES),
      cellCount,
      offset: entry.readDoubleLE(KEY_BYTES),
      bytes: entry.readUInt32LE(KEY_BYTES + 8),
      entries: entry.readUInt32LE(KEY_BYTES + 12),
      checksum: entry.toString('hex', KEY_BYTES + 16),
    };
  });
}

/** One sequence's counts as they are packed, whole as its checksum says; null when they are damaged. */
export async function readPackRecord(file: FileHandle, entry: PackEntry): Promise<Uint8Array | null> {
  const payload = await readBytes(file, entry.offset, entry.bytes);
  return payload !== null && checksumOf(payload).toString('hex') === entry.checksum ? payload : null;
}

/**
 * Writes cells and counts of a sequence into arrays that have room from `at` on.
 *
 * @throws Error when the payload says something else than what its pack's index does
 */
export function unpackRouting(
  payload: Uint8Array,
  { entries, cellCount }: PackEntry,
  { cells, counts }: RoutingCounts,
  at: number,
): void {
  const values = decodeVarints(payload, entries * 2);
  if (values === null) throw new Error('unpack routing: its numbers end elsewhere than its payload');
  let cell = 0;
  for (let i = 0; i < entries; i++) {
    cell += values[i]!;
    cells[at + i] = cell;
    counts[at + i] = values[entries + i]!;
  }
  if (entries > 0 && cell >= cellCount) throw new Error(`unpack routing: cell ${cell} of ${cellCount}`);
}

function checksumOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, CHECKSUM_BYTES);
}

async function readBytes(file: FileHandle, at: number, length: number): Promise<Buffer | null> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, at);
  return bytesRead === length ? bytes : null;
}
