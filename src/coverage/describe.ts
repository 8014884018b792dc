import { CHANNELS, type Channel, type Sequence } from '../mix/sequence.js';
import { channelIndex } from '../text/channel.js';
import { balanceOf, medianOf, summarize } from './balance-metrics.js';
import type { ChannelCoverage, Coverage, CoverageModel, GroupCoverage, LayerCoverage, Lengths } from './coverage.js';
import { splitFloors, type Floors } from './floors.js';
import { type Grouping, tallyGroups } from './groups.js';
import { GATE_UNIT, type LayerCounts } from './layer-counts.js';
import { GROUPING, type MixGroups } from './mix-groups.js';
import { createSaturationCurve, type SaturationBins } from './saturation.js';
import { findFailures } from './verdict.js';
import { countFragile, findWorst } from './weak-cells.js';

export interface CountedRouting {
  readonly model: CoverageModel;
  readonly groups: MixGroups;
  readonly floor: number;
  readonly floors: Floors;
  /** Complete, in rising order. */
  readonly layers: readonly LayerCounts[];
  readonly detail: Detail;
}

/** What was counted: everything; sums of whole sequences, without gate mass and channels; or estimates of these. */
export type Detail = 'tokens' | 'sequences' | 'estimates';

/** Puts the counts into the words of `coverage.json`. */
export function describeCoverage(counted: CountedRouting): Coverage {
  const { layers, floor, floors, groups, detail } = counted;
  const { sequences, bins } = groups;
  const totals = layers.map(({ routed }) => routed);
  const describeGroups = (kind: 'languages' | 'categories' | 'sources'): Record<string, GroupCoverage> =>
    groupsOf(sequences, groups[kind], layers, GROUPING[kind], detail);
  const [languages, sources] = [describeGroups('languages'), describeGroups('sources')];
  const described = layers.map((counts) => describeLayer(counts, detail));
  const channels = describeChannels(sequences, layers, detail);
  const lengths = lengthsOf(sequences);
  const failures = findFailures({ layers: described, languages, channels, lengths, floor, floors });
  const own = splitFloors(floors);
  return {
    schema: 'evenkeel.coverage/1',
    model: counted.model,
    tokens: groups.lengths.reduce((sum, length) => sum + length, 0),
    sequences: sequences.length,
    samples: groups.samples.names.length,
    floor,
    languageFloors: own.languages,
    channelFloors: own.channels,
    lengthFloor: own.length,
    lengths,
    layers: described,
    languages,
    categories: describeGroups('categories'),
    sources,
    channels,
    summary: summarize(totals, floor),
    worst: findWorst(described, languages, sources),
    fragile: countFragile(described, languages, sources),
    saturation: layers.length === 0 ? null : describeSaturation(layers, bins, floor),
    failures,
    verdict: failures.length === 0 ? 'pass' : 'fail',
  };
}

function describeLayer(counts: LayerCounts, detail: Detail): LayerCoverage {
  const { layer, experts, topK, routed, samples, gateUnits, forced } = counts;
  return {
    layer,
    experts,
    topK,
    routed: Array.from(routed),
    samples: detail === 'estimates' ? [] : Array.from(samples),
    gateMass: detail !== 'tokens' ? [] : Array.from(gateUnits, gateMass),
    ...(forced === null ? {} : { forced: Array.from(forced) }),
    balance: balanceOf(routed),
  };
}

function groupsOf(
  sequences: readonly Sequence[],
  grouping: Grouping,
  layers: readonly LayerCounts[],
  position: number,
  detail: Detail,
): Record<string, GroupCoverage> {
  const tables = layers.map(({ groups, experts }) => ({ ...groups[position]!, experts }));
  return Object.fromEntries(
    tallyGroups(sequences, grouping).map((tally, g): [string, GroupCoverage] => [
      grouping.names[g]!,
      {
        ...tally,
        routed: tables.map(({ routed, experts }) => rowOf(routed, g, experts)),
        cellSamples: detail === 'estimates' ? [] : tables.map(({ samples, experts }) => rowOf(samples, g, experts)),
        gateMass:
          detail !== 'tokens' ? [] : tables.map(({ gateUnits, experts }) => rowOf(gateUnits, g, experts).map(gateMass)),
      },
    ]),
  );
}

function describeChannels(
  sequences: readonly Sequence[],
  layers: readonly LayerCounts[],
  detail: Detail,
): Coverage['channels'] {
  const tokens = new Float64Array(CHANNELS.length);
  for (const { channels } of sequences) for (const channel of channels) tokens[channel]! += 1;
  const of = (channel: Channel): ChannelCoverage => {
    const c = channelIndex(channel);
    if (detail !== 'tokens') return { tokens: tokens[c]!, routed: [], gateMass: [] };
    return {
      tokens: tokens[c]!,
      routed: layers.map(({ channels, experts }) => rowOf(channels.routed, c, experts)),
      gateMass: layers.map(({ channels, experts }) => rowOf(channels.gateUnits, c, experts).map(gateMass)),
    };
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

/** Six digits: more would be noise of the model's own arithmetic, and triple the document. */
function gateMass(units: number): number {
  return Number((units * GATE_UNIT).toFixed(6));
}

function rowOf(table: Uint32Array | Float64Array, row: number, width: number): number[] {
  return Array.from(table.subarray(row * width, (row + 1) * width));
}

function describeSaturation(layers: readonly LayerCounts[], bins: SaturationBins, floor: number) {
  const curve = createSaturationCurve(bins, floor);
  for (const { groups, experts } of layers) curve.addLayer(groups[GROUPING.bins]!.routed, experts);
  return curve.finish(layers.map(({ routed }) => routed));
}

function lengthsOf(sequences: readonly Sequence[]): Lengths {
  const rising = Int32Array.from(sequences, ({ inputIds }) => inputIds.length).sort();
  return { min: rising[0] ?? 0, median: medianOf(rising), max: rising.at(-1) ?? 0 };
}
