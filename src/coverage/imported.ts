import type { Channel } from '../text/channel.js';
import { balanceOf, summarize } from './balance-metrics.js';
import type { ChannelCoverage, Coverage } from './coverage.js';
import { saturationOf } from './saturation.js';
import { findFailures } from './verdict.js';
import { countFragile, findWorst } from './weak-cells.js';

/** What another tool counted. */
export interface ImportedCounts {
  readonly format: 'imatrix' | 'moe.html';
  readonly path: string;
  readonly architecture: string;
  /** 0 when unknown. */
  readonly tokens: number;
  readonly sequences: number;
  /** Longest sequence, 0 when unknown. */
  readonly sequenceLength: number;
  readonly layers: readonly { readonly layer: number; readonly topK: number; readonly routed: readonly number[] }[];
  readonly floor: number;
}

/** Cells as any audit has them; languages, sources, samples and gate mass stay empty, for nobody counted them. */
export function importedCoverage(counts: ImportedCounts): Coverage {
  const { format, path, architecture, tokens, sequences, sequenceLength, floor } = counts;
  const layers = counts.layers.map(({ layer, topK, routed }) => ({
    layer,
    experts: routed.length,
    topK,
    routed,
    samples: [],
    gateMass: [],
    balance: balanceOf(routed),
  }));
  const totals = layers.map(({ routed }) => routed);
  const lengths = { min: sequenceLength, median: sequenceLength, max: sequenceLength };
  const failures = findFailures({ layers, languages: {}, channels: {}, lengths, floor, floors: {} });
  return {
    schema: 'evenkeel.coverage/1',
    model: { path, architecture },
    imported: { format, path },
    tokens,
    sequences,
    samples: 0,
    floor,
    languageFloors: {},
    channelFloors: {},
    lengthFloor: null,
    lengths,
    layers,
    languages: {},
    categories: {},
    sources: {},
    channels: emptyChannels(totals),
    summary: summarize(totals, floor),
    worst: findWorst(layers, {}, {}),
    fragile: countFragile(layers, {}, {}),
    saturation: tokens === 0 ? null : saturationOf(totals, tokens, floor),
    failures,
    verdict: failures.length === 0 ? 'pass' : 'fail',
  };
}

function emptyChannels(totals: readonly (readonly number[])[]): Record<Channel, ChannelCoverage> {
  const none = (): ChannelCoverage => ({
    tokens: 0,
    routed: totals.map((routed) => routed.map(() => 0)),
    gateMass: [],
  });
  return { system: none(), user: none(), assistant: none(), reasoning: none(), tool: none(), text: none() };
}
