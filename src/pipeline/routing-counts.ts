import { homedir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/open.js';
import { fingerprintModel } from '../coverage/model-fingerprint.js';
import { prefixesOf, scaleToWhole } from '../coverage/prefix.js';
import { joinCounts, openRoutingCache } from '../coverage/routing-cache.js';
import type { PassEvent } from '../engine/layer-pass.js';
import type { LaneOptions } from '../engine/lanes.js';
import type { SparseCounts } from '../mix/balance-counts.js';
import type { Sequence } from '../mix/sequence.js';
import { planModel } from '../model/registry.js';
import { auditSequences } from './audit.js';

export interface CountOptions extends LaneOptions {
  readonly model: string;
  readonly sequences: readonly Sequence[];
  /** Run only so many tokens of each sequence and scale the counts up; null runs all of it. */
  readonly prefix: number | null;
  /** Folder of the routing cache; null goes without. */
  readonly cache: string | null;
  readonly signal?: AbortSignal | undefined;
}

/** `$XDG_CACHE_HOME/evenkeel/routing`, or under `~/.cache`. */
export function routingCacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'evenkeel', 'routing');
}

/**
 * Routed tokens of every sequence per cell. Sequences that went through the same model before cost nothing; with a prefix,
 * the rest is estimated from each one's own beginning: good enough to choose by, not to judge by.
 */
export async function* countRouting(options: CountOptions): AsyncGenerator<PassEvent, SparseCounts> {
  const { model, prefix } = options;
  const run = prefix === null ? options.sequences : prefixesOf(options.sequences, prefix);
  const cellCount = cellsOf(model, options.assume);
  const cache = options.cache === null ? null : await openRoutingCache(options.cache, await fingerprintModel(model));
  const known = (await cache?.read(run, cellCount)) ?? run.map(() => null);
  const missing = run.filter((_, i) => known[i] === null);
  let fresh: SparseCounts | null = null;
  if (missing.length > 0) {
    const { assume, lanes, providers, signal } = options;
    const audit = auditSequences({
      model,
      sequences: missing,
      floor: 0,
      perSequence: true,
      assume,
      lanes,
      providers,
      signal,
    });
    for (;;) {
      const next = await audit.next();
      if (next.done === true) {
        fresh = next.value.counter.sparseCounts();
        break;
      }
      yield next.value;
    }
    await cache?.write(missing, fresh);
  }
  let at = 0;
  const counts = joinCounts(
    known.map((own) => own ?? rowOf(fresh!, at++)),
    cellCount,
  );
  if (prefix === null) return counts;
  const lengths = (sequences: readonly Sequence[]): number[] => sequences.map(({ inputIds }) => inputIds.length);
  return scaleToWhole(counts, lengths(run), lengths(options.sequences));
}

function rowOf({ offsets, cells, counts }: SparseCounts, index: number): { cells: Uint32Array; counts: Uint32Array } {
  const [from, to] = [offsets[index]!, offsets[index + 1]!];
  return { cells: Uint32Array.from(cells.subarray(from, to)), counts: Uint32Array.from(counts.subarray(from, to)) };
}

function cellsOf(model: string, assume: string | undefined): number {
  const checkpoint = openCheckpoint(model);
  const { layers } = planModel(checkpoint, assume);
  checkpoint.close();
  return layers.reduce(
    (sum, { feedForward }) => sum + (feedForward.kind === 'moe' ? feedForward.experts.length : 0),
    0,
  );
}
