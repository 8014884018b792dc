import type { SparseCounts } from '../mix/balance-counts.js';
import type { Coverage, CoverageFailure } from './coverage.js';
import { describeCoverage } from './describe.js';
import { layerCountsOf, type CountedSequences } from './from-counts.js';
import type { LayerCounts } from './layer-counts.js';
import { groupMix } from './mix-groups.js';
import { CONFIDENCE, estimateFromPrefixes, judgeFloor, scaleToWhole, type PrefixSample } from './prefix.js';
import { joinCounts, longest, rowOf } from './routing-cache.js';

export interface PrefixedSequences extends Omit<CountedSequences, 'counts'> {
  readonly sample: PrefixSample;
  /** Tokens run of every sequence at most. */
  readonly prefix: number;
}

/**
 * Coverage as the beginnings of sequences and a pilot of whole ones suggest, with the error of every cell. A cell that may
 * lie on either side of the floor keeps the mix from passing: what cannot be told is not a pass.
 */
export function estimatedCoverage({ sample, prefix, ...mix }: PrefixedSequences): Coverage {
  const { model, sequences, layers: shapes, floor, floors = {} } = mix;
  const estimates = estimateFromPrefixes(sample);
  const groups = groupMix(sequences);
  const layers = layerCountsOf(groups, likelyCounts(sample), shapes);
  let cell = 0;
  const rowsOf = (values: Float64Array, round: (value: number) => number): number[][] => {
    let at = 0;
    return shapes.map(({ experts }) => Array.from(values.subarray(at, (at += experts)), round));
  };
  for (const layer of layers) {
    followEstimate(layer, estimates.routed.subarray(cell, (cell += layer.experts)));
  }
  const coverage = describeCoverage({ model, groups, floor, floors, layers, detail: 'estimates' });
  const { below, open } = judgeFloor(estimates, floor);
  const failures: CoverageFailure[] = [
    ...(below > 0 ? [{ kind: 'cells', cells: below, floor } as const] : []),
    ...(open > 0 ? [{ kind: 'open', cells: open, floor } as const] : []),
    ...coverage.failures.filter(({ kind }) => kind !== 'cells'),
  ];
  return {
    ...coverage,
    estimate: {
      prefix,
      pilot: sample.pilot.length,
      tokensRun: tokensRun(sample),
      confidence: CONFIDENCE,
      low: rowsOf(estimates.low, Math.floor),
      high: rowsOf(estimates.high, Math.ceil),
      open,
    },
    failures,
    verdict: failures.length === 0 ? 'pass' : 'fail',
  };
}

/** Tokens that went through the model: all beginnings, and the pilot whole besides. */
export function tokensRun({ run, lengths, pilot }: Pick<PrefixSample, 'run' | 'lengths' | 'pilot'>): number {
  const beginnings = Array.from(run).reduce((sum, tokens) => sum + tokens, 0);
  return pilot.reduce((sum, index) => sum + lengths[index]!, beginnings);
}

/** A row for every sequence: counted where it was run whole, else scaled up from its beginning. */
function likelyCounts({ prefixes, run, lengths, pilot, whole }: PrefixSample): SparseCounts {
  const scaled = scaleToWhole(prefixes, run, lengths);
  const rowInPilot = new Map(pilot.map((index, row) => [index, row]));
  const rows = Array.from({ length: prefixes.sequences }, (_, i) => {
    const row = rowInPilot.get(i);
    return row === undefined ? rowOf(scaled, i) : rowOf(whole, row);
  });
  return joinCounts(rows, prefixes.cellCount, longest(lengths));
}

/** Puts the cells' estimates in, and bends the splits so that they add up to them as before. */
function followEstimate({ routed, groups, experts }: LayerCounts, estimates: Float64Array): void {
  for (let e = 0; e < experts; e++) {
    const before = routed[e]!;
    routed[e] = Math.round(estimates[e]!);
    if (before === 0) continue;
    for (const { routed: table } of groups) {
      for (let at = e; at < table.length; at += experts) {
        table[at] = Math.round((table[at]! * estimates[e]!) / before);
      }
    }
  }
}
