/** Damages GGUF files and imports them as an imatrix. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { importImatrix } from '../../src/coverage/import-imatrix.js';
import type { Random } from '../../src/data/sampling.js';

/** Numbers at the edges of what lengths, types and offsets can be. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const HEADER_BYTES = 2048;
const FLOOR = 64;

/** A damaged copy: one to four changes of its header, and often cut short. */
export function mutateGguf(original: Uint8Array, random: Random): Uint8Array {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  const header = Math.min(bytes.length, HEADER_BYTES);
  const edge = (): number => EDGES[random.below(EDGES.length)]!;
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(header - 8);
    const change = random.below(4);
    if (change === 0) bytes[at] = random.below(256);
    else if (change === 1) view.setUint32(at, edge(), true);
    else if (change === 2) view.setBigUint64(at, BigInt.asUintN(64, BigInt(edge()) << BigInt(random.below(40))), true);
    else bytes.copyWithin(at, random.below(header), random.below(header));
  }
  return random.below(4) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes;
}

/**
 * Imports a file of these bytes, written into a folder and removed again.
 *
 * @throws what importing throws: an InputError, or else a fault
 */
export async function readGguf(bytes: Uint8Array, directory: string): Promise<void> {
  const path = join(directory, 'fuzz.gguf');
  writeFileSync(path, bytes);
  try {
    await importImatrix(path, FLOOR);
  } finally {
    rmSync(path);
  }
}
