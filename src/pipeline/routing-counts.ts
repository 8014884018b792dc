import { homedir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/open.js';
import type { LayerShape } from '../coverage/from-counts.js';
import { fingerprintModel } from '../coverage/model-fingerprint.js';
import { prefixesOf, scaleToWhole } from '../coverage/prefix.js';
import { joinCached, longest, openRoutingCache, rowOf } from '../coverage/routing-cache.js';
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
  /** Bytes of memory to stay within. */
  readonly memory?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type CountEvent =
  | PassEvent
  /** So many of the sequences, and of their tokens, have to go through the model. */
  | { readonly kind: 'counting'; readonly sequences: number; readonly of: number; readonly tokens: number };

/** `$XDG_CACHE_HOME/evenkeel/routing`, or under `~/.cache`. */
export function routingCacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'evenkeel', 'routing');
}

/**
 * Routed tokens of every sequence per cell. Sequences that went through the same model before cost nothing; with a prefix,
 * the rest is estimated from each one's own beginning: good enough to choose by, not to judge by.
 */
export async function* countRouting(options: CountOptions): AsyncGenerator<CountEvent, SparseCounts> {
  const { model, prefix, assume, lanes, threads, providers, memory, signal } = options;
  const run = prefix === null ? options.sequences : prefixesOf(options.sequences, prefix);
  const { layers } = modelShape(model, assume);
  const cellCount = layers.reduce((sum, { experts }) => sum + experts, 0);
  const cache = options.cache === null ? null : await openRoutingCache(options.cache, await fingerprintModel(model));
  const known = (await cache?.find(run, cellCount)) ?? run.map(() => null);
  const missing = run.filter((_, i) => known[i] === null);
  const tokens = missing.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  yield { kind: 'counting', sequences: missing.length, of: run.length, tokens };
  let fresh: SparseCounts | null = null;
  if (missing.length > 0) {
    const where = { assume, lanes, threads, providers, memory, signal };
    const pass = { model, sequences: missing, floor: 0, perSequence: true, ...where };
    const { counter } = yield* auditSequences(pass);
    fresh = counter.sparseCounts();
    await cache?.write(missing, fresh);
  }
  let at = 0;
  const counts =
    fresh !== null && missing.length === run.length
      ? fresh
      : await joinCached(
          known.map((own) => own ?? rowOf(fresh!, at++)),
          cellCount,
          longest(lengths(run)),
        );
  if (prefix === null) return counts;
  return scaleToWhole(counts, lengths(run), lengths(options.sequences));
}

function lengths(sequences: readonly Sequence[]): number[] {
  return sequences.map(({ inputIds }) => inputIds.length);
}

export interface ModelShape {
  readonly architecture: string;
  /** Layers with experts, rising; none in a dense model. */
  readonly layers: readonly LayerShape[];
}

export function modelShape(model: string, assume: string | undefined): ModelShape {
  const checkpoint = openCheckpoint(model);
  const { architecture, layers } = planModel(checkpoint, assume);
  checkpoint.close();
  return {
    architecture,
    layers: layers.flatMap(({ index, feedForward }) =>
      feedForward.kind === 'moe' ? [{ layer: index, experts: feedForward.experts.length, topK: feedForward.topK }] : [],
    ),
  };
}
