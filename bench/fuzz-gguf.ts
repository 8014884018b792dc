/**
 * Mutates the GGUF fixture and reads it: every outcome must be a header or an InputError, quickly and without allocating
 * what a damaged length asks for. Run: node --import tsx bench/fuzz-gguf.ts [runs]
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fuzzGguf } from '../test/coverage/fuzz-gguf.js';

const runs = Number(process.argv[2] ?? 100_000);
const fixture = readFileSync(join(import.meta.dirname, '../test/coverage/fixtures/imatrix.gguf'));
const start = performance.now();
const { accepted, refused, slowest } = fuzzGguf(fixture, runs, 1);
console.log(
  `${runs} mutated files in ${((performance.now() - start) / 1000).toFixed(1)} s: ${accepted} read, ${refused} refused, ` +
    `slowest ${slowest.toFixed(1)} ms, peak resident ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`,
);
