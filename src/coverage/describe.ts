import { CHANNELS, type Channel, type Sequence } from '../mix/sequence.js';
import { channelIndex } from '../text/channel.js';
import { balanceOf, medianOf, summarize } from './balance-metrics.js';
import type { ChannelCoverage, Coverage, CoverageModel, GroupCoverage, LayerCoverage, Lengths } from './coverage.js';
import { type Grouping, tallyGroups } from './groups.js';
import { GATE_UNIT, type LayerCounts } from './layer-counts.js';
import { createSaturationCurve, type SaturationBins } from './saturation.js';
import { findFailures } from './verdict.js';
import { countFragile, findWorst } from './weak-cells.js';

/** Positions of the groupings in `LayerCounts.groups`. */
const [LANGUAGES, CATEGORIES, SOURCES, BINS] = [0, 1, 2, 3];

export interface CountedRouting {
  readonly model: CoverageModel;
  readonly sequences: readonly Sequence[];
  readonly samples: number;
  readonly floor: number;
  readonly floors: Readonly<Record<string, number>>;
  /** Complete, in rising order. */
  readonly layers: readonly LayerCounts[];
  readonly groupings: Readonly<Record<'languages' | 'categories' | 'sources', Grouping>>;
  readonly bins: SaturationBins;
}

/** Puts the counts into the words of `coverage.json`. */
export function describeCoverage(counted: CountedRouting): Coverage {
  const { sequences, layers, floor, floors, groupings, bins } = counted;
  const totals = layers.map(({ routed }) => routed);
  const languages = describeGroups(sequences, groupings.languages, layers, LANGUAGES);
  const sources = describeGroups(sequences, groupings.sources, layers, SOURCES);
  const described = layers.map(describeLayer);
  const tokens = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const failures = findFailures({ layers: described, languages, floor, floors });
  return {
    schema: 'evenkeel.coverage/1',
    model: counted.model,
    tokens,
    sequences: sequences.length,
    samples: counted.samples,
    floor,
    languageFloors: floors,
    lengths: lengthsOf(sequences),
    layers: described,
    languages,
    categories: describeGroups(sequences, groupings.categories, layers, CATEGORIES),
    sources,
    channels: describeChannels(sequences, layers),
    summary: summarize(totals, floor),
    worst: findWorst(described, languages, sources),
    fragile: countFragile(described, languages, sources),
    saturation: layers.length === 0 ? null : describeSaturation(layers, bins, floor),
    failures,
    verdict: failures.length === 0 ? 'pass' : 'fail',
  };
}

function describeLayer(counts: LayerCounts): LayerCoverage {
  const { layer, experts, topK, routed, samples, gateUnits, forced } = counts;
  return {
    layer,
    experts,
    topK,
    routed: Array.from(routed),
    samples: Array.from(samples),
    gateMass: Array.from(gateUnits, (units) => units * GATE_UNIT),
    ...(forced === null ? {} : { forced: Array.from(forced) }),
    balance: balanceOf(routed),
  };
}

function describeGroups(
  sequences: readonly Sequence[],
  grouping: Grouping,
  layers: readonly LayerCounts[],
  position: number,
): Record<string, GroupCoverage> {
  return Object.fromEntries(
    tallyGroups(sequences, grouping).map((tally, g) => [
      grouping.names[g]!,
      { ...tally, routed: layers.map(({ groups, experts }) => rowOf(groups[position]!, g, experts)) },
    ]),
  );
}

function describeChannels(sequences: readonly Sequence[], layers: readonly LayerCounts[]): Coverage['channels'] {
  const tokens = new Float64Array(CHANNELS.length);
  for (const { channels } of sequences) for (const channel of channels) tokens[channel]! += 1;
  const of = (channel: Channel): ChannelCoverage => {
    const c = channelIndex(channel);
    return { tokens: tokens[c]!, routed: layers.map((layer) => rowOf(layer.channels, c, layer.experts)) };
  };
  return {
    system: of('system'),
    user: of('user'),
    assistant: of('assistant'),
    reasoning: of('reasoning'),
    tool: of('tool'),
    text: of('text'),
  };
}

function rowOf(table: Uint32Array, row: number, width: number): number[] {
  return Array.from(table.subarray(row * width, (row + 1) * width));
}

function describeSaturation(layers: readonly LayerCounts[], bins: SaturationBins, floor: number) {
  const curve = createSaturationCurve(bins, floor);
  for (const { groups, experts } of layers) curve.addLayer(groups[BINS]!, experts);
  return curve.finish(layers.map(({ routed }) => routed));
}

function lengthsOf(sequences: readonly Sequence[]): Lengths {
  const rising = Int32Array.from(sequences, ({ inputIds }) => inputIds.length).sort();
  return { min: rising[0] ?? 0, median: medianOf(rising), max: rising.at(-1) ?? 0 };
}
