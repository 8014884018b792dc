/**
 * Time and memory of balanced selection from a pool of 10,000 sequences × 6,144 cells, against random and quota-only
 * selection at the same budget, and by way of the routing cache. Run: node --import tsx bench/balance.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { joinCached, openRoutingCache } from '../src/coverage/routing-cache.js';
import { selectBalanced } from '../src/mix/balance.js';
import { selectByQuota, selectRandom } from '../src/mix/balance-baselines.js';
import { allocateSparse, type SparseCounts } from '../src/mix/balance-counts.js';
import { seededRank } from '../src/mix/balance-order.js';

const [SEQUENCES, LAYERS, EXPERTS, TOP_K, LENGTH] = [10_000, 48, 128, 8, 512];
const CELLS = LAYERS * EXPERTS;
const LANGUAGES = ['el', 'en', 'ka', 'de', 'fi', 'ja', 'ar', 'hi'];

function fractions(seed: number, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => seededRank(seed, i) / 2 ** 32);
}

/** Routing with popular and rare experts, which every language prefers differently: counts as a real router's skew. */
function makePool(): SparseCounts {
  const offsets = new Float64Array(SEQUENCES + 1);
  const row = new Uint32Array(EXPERTS);
  const popularity = fractions(1, CELLS).map((value) => value ** 4 + 1e-5);
  const tastes = LANGUAGES.map((_, l) =>
    fractions(100 + l, CELLS).map((value, c) => popularity[c]! * (0.02 + value ** 3)),
  );
  const expected = tastes.map((taste) => {
    const shares = new Float64Array(CELLS);
    for (let layer = 0; layer < LAYERS; layer++) {
      const part = taste.subarray(layer * EXPERTS, (layer + 1) * EXPERTS);
      const sum = part.reduce((a, b) => a + b, 0);
      part.forEach((value, e) => (shares[layer * EXPERTS + e] = (value / sum) * LENGTH * TOP_K));
    }
    return shares;
  });
  const fill = (each: (sequence: number, cell: number, count: number) => void): void => {
    for (let s = 0; s < SEQUENCES; s++) {
      const shares = expected[s % LANGUAGES.length]!;
      for (let layer = 0; layer < LAYERS; layer++) {
        for (let e = 0; e < EXPERTS; e++) {
          const cell = layer * EXPERTS + e;
          const noise = seededRank(s * 7 + 3, cell) / 2 ** 32;
          row[e] = Math.floor(shares[cell]! * noise * 2 + (seededRank(s * 11 + 5, cell) / 2 ** 32) * 0.9);
          if (row[e]! > 0) each(s, cell, Math.min(row[e]!, LENGTH));
        }
      }
    }
  };
  fill((s) => (offsets[s + 1]! += 1));
  for (let s = 0; s < SEQUENCES; s++) offsets[s + 1]! += offsets[s]!;
  const sparse = allocateSparse(SEQUENCES, CELLS, offsets, LENGTH);
  let at = 0;
  fill((_, cell, count) => {
    sparse.cells[at] = cell;
    sparse.counts[at++] = count;
  });
  return sparse;
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MB`;
const FLOOR = 64;
const METHODS = { selectRandom, selectByQuota, selectBalanced };
/** Balanced selection by counts that an earlier build left in the routing cache. */
const CACHED = 'from the cache';

async function measure(method: string, budget: number): Promise<void> {
  const folder = method === CACHED ? await writeCache() : null;
  const made = folder === null ? makePool() : null;
  const candidates = Array.from({ length: SEQUENCES }, (_, i) => ({
    tokens: LENGTH,
    language: LANGUAGES[i % LANGUAGES.length]!,
    category: 'chat',
  }));
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const counts = made ?? (await readCache(folder!));
  const select = Object.hasOwn(METHODS, method) ? METHODS[method as keyof typeof METHODS] : selectBalanced;
  const selection = select({ candidates, counts, budget, floor: FLOOR, seed: 1, fill: {} });
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  console.log(
    `| ${method} | ${budget} | ${seconds.toFixed(2)} | ${((used.user + used.system) / 1e6).toFixed(2)} | ` +
      `${megabytes(process.resourceUsage().maxRSS * 1024)} | ${megabytes(counts.cells.byteLength + counts.counts.byteLength)} | ` +
      `${selection.missing.length} | ${selection.objective.toFixed(4)} |`,
  );
  if (folder !== null) rmSync(folder, { recursive: true });
}

function poolSequences(): { readonly inputIds: Int32Array }[] {
  return Array.from({ length: SEQUENCES }, (_, s) => ({
    inputIds: Int32Array.from({ length: LENGTH }, (_id, i) => s * LENGTH + i),
  }));
}

/** Fills the cache in a process of its own, whose memory is not this one's. */
async function writeCache(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-balance-'));
  const run = spawnSync(process.execPath, ['--import', 'tsx', process.argv[1]!, 'fill', folder], { stdio: 'inherit' });
  if (run.status !== 0) throw new Error(`filling the cache ended with ${String(run.status)}`);
  return folder;
}

async function readCache(folder: string): Promise<SparseCounts> {
  const cache = await openRoutingCache(folder, 'bench');
  const rows = await cache.find(poolSequences(), CELLS);
  return joinCached(
    rows.map((row) => {
      if (row === null) throw new Error('the cache lost a sequence');
      return row;
    }),
    CELLS,
    LENGTH,
  );
}

// One process each, so that every peak is its own.
const [, script, method, argument] = process.argv;
if (method === 'fill') {
  const cache = await openRoutingCache(argument!, 'bench');
  await cache.write(poolSequences(), makePool());
  console.error(`filling the cache: peak ${megabytes(process.resourceUsage().maxRSS * 1024)}`);
} else if (method !== undefined) {
  await measure(method, Number(argument));
} else {
  console.log(`Pool: ${SEQUENCES} sequences × ${CELLS} cells, ${LENGTH} tokens each, top ${TOP_K}\n`);
  console.log(`| selection | budget | seconds | processor s | peak | counts | cells under ${FLOOR} | objective |`);
  console.log('|---|--:|--:|--:|--:|--:|--:|--:|');
  for (const tokens of [65_536, 1_048_576]) {
    for (const name of [...Object.keys(METHODS), CACHED]) {
      spawnSync(process.execPath, ['--import', 'tsx', script!, name, String(tokens)], { stdio: 'inherit' });
    }
  }
}
