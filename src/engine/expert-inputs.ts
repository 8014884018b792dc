import type { MoePlan } from '../model/plan.js';
import type { SampledRows } from '../awq/output-error.js';
import type { RowStore } from '../runtime/row-store.js';
import { SKETCH_ROWS } from './search-limits.js';
import type { CalibrationJobs } from './quantize-jobs.js';

/** Evenly spaced rows, scaled so that SᵀS ≈ share · mean xxᵀ. */
export function sketchRows(x: Float32Array, width: number, share: number): Float32Array {
  const total = x.length / width;
  if (total === 0 || share === 0) return new Float32Array(0);
  const rows = Math.min(total, SKETCH_ROWS);
  const factor = Math.sqrt(share / rows);
  const sketch = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const from = Math.floor(((row + 0.5) * total) / rows) * width;
    for (let i = 0; i < width; i++) sketch[row * width + i] = x[from + i]! * factor;
  }
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
  const { width } = input;
  const rows = new Float32Array(own.length * width);
  own.forEach((slot, i) => input.read(Math.floor(slot / topK), 1, rows, i * width));
  const scaled =
    weightOn === 'input'
      ? weightRows(
          rows,
          Float32Array.from(own, (slot) => weights[slot]!),
        )
      : rows;
  return {
    rows: scaled,
    groupOf: Uint16Array.from(own, (slot) => languageOf.get(Math.floor(slot / topK))!),
    groups: sample.languages.length,
  };
}

export function weightRows(x: Float32Array, weights: Float32Array): Float32Array {
  const width = x.length / Math.max(1, weights.length);
  return x.map((value, i) => value * weights[Math.floor(i / width)]!);
}
