import { parseGguf } from '../../src/coverage/gguf.js';
import { InputError } from '../../src/errors.js';
import { randomFrom } from './synthetic.js';

/** Numbers at the edges of what lengths, types and offsets can be. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Reads `runs` mutations of a file; anything but a header or an InputError is thrown on. */
export function fuzzGguf(file: Uint8Array, runs: number, seed: number) {
  const random = randomFrom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const headerBytes = Math.min(file.length, 2048);
  let [accepted, refused, slowest] = [0, 0, 0];
  for (let run = 0; run < runs; run++) {
    let mutated = Uint8Array.from(file);
    const view = new DataView(mutated.buffer);
    for (let changes = 1 + below(4); changes > 0; changes--) {
      const at = below(headerBytes - 8);
      const kind = below(4);
      if (kind === 0) mutated[at] = below(256);
      else if (kind === 1) view.setUint32(at, EDGES[below(EDGES.length)]!, true);
      else if (kind === 2)
        view.setBigUint64(at, BigInt.asUintN(64, BigInt(EDGES[below(EDGES.length)]!) << BigInt(below(40))), true);
      else mutated.copyWithin(at, below(headerBytes), below(headerBytes));
    }
    if (below(4) === 0) mutated = mutated.slice(0, below(mutated.length));
    const start = performance.now();
    try {
      const header = parseGguf(mutated, mutated.length, 'fuzz.gguf');
      if (header === null) throw new Error('a whole file asked for more bytes');
      accepted++;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refused++;
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  return { accepted, refused, slowest };
}
