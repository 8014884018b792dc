import type { MoePlan } from '../model/plan.js';
import type { SampledRows } from '../awq/output-error.js';
import type { RowStore } from '../runtime/row-store.js';
import { scaleRows, type RoutedRows } from './routed-rows.js';
import { SKETCH_ROWS } from './search-limits.js';
import type { CalibrationJobs } from './quantize-jobs.js';

/** Evenly spaced rows as gate and up see them, scaled so that SᵀS ≈ share · mean xxᵀ. */
export function sketchRows(rows: RoutedRows, weightOn: MoePlan['weightOn'], share: number): Float32Array {
  const { routing, width } = rows;
  const total = routing.length;
  if (total === 0 || share === 0) return new Float32Array(0);
  const count = Math.min(total, SKETCH_ROWS);
  const factor = Math.sqrt(share / count);
  const positions = Int32Array.from({ length: count }, (_, row) => Math.floor(((row + 0.5) * total) / count));
  const sketch = new Float32Array(count * width);
  rows.pick(positions, sketch);
  const factors = Float32Array.from(positions, (position) =>
    weightOn === 'input' ? factor * routing[position]! : factor,
  );
  scaleRows(sketch, width, factors);
  return sketch;
}

/** The sampled tokens that the router sent to an expert, with their inputs as the expert saw them. */
export function sampleOfExpert(
  input: RowStore,
  { topK, weightOn }: MoePlan,
  expert: number,
  {
    sample,
    assignments,
    routing,
  }: Pick<CalibrationJobs['quantizeExperts']['job'], 'sample' | 'assignments' | 'routing'>,
): SampledRows {
  const { offsets, slots } = assignments;
  const weights = new Float32Array(routing.weights);
  const languageOf = new Map(Array.from(sample.tokens, (token, i) => [token, sample.languageOf[i]!] as const));
  const own = new Int32Array(slots)
    .subarray(offsets[expert], offsets[expert + 1])
    .filter((slot) => languageOf.has(Math.floor(slot / topK)));
  const tokens = own.map((slot) => Math.floor(slot / topK));
  const rows = new Float32Array(own.length * input.width);
  input.gather(tokens, rows);
  if (weightOn === 'input')
    scaleRows(
      rows,
      input.width,
      Float32Array.from(own, (slot) => weights[slot]!),
    );
  return {
    rows,
    groupOf: Uint16Array.from(tokens, (token) => languageOf.get(token)!),
    groups: sample.languages.length,
  };
}
