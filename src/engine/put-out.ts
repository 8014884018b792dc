import type { Linear, MoePlan } from '../model/plan.js';
import { gemm } from '../runtime/matrix.js';
import type { RowStore } from '../runtime/row-store.js';
import type { LaneModel } from './forward-lane.js';
import { scaleRows, type RoutedRows } from './routed-rows.js';

export interface PutOut {
  readonly down: Linear;
  /** Its weight as a runtime computes with it, [hidden × intermediate]. */
  readonly data: Float32Array;
  readonly moe: MoePlan;
  readonly rows: RoutedRows;
  /** Its inputs, [tokens × intermediate]; weighted in place. */
  readonly inner: Float32Array;
}

/** Rows put out at once. */
const PART_ROWS = 1024;

/** Adds an expert's outputs to an accumulator, given what its down reads. */
export async function putOut(
  { reader, scratch }: LaneModel,
  { down, data, moe, rows, inner }: PutOut,
  accumulator: RowStore,
): Promise<void> {
  const { inFeatures, outFeatures } = down;
  const { tokens, routing } = rows;
  const bias = down.bias === null ? null : reader.vector(down.bias);
  for (let from = 0; from < tokens.length; from += PART_ROWS) {
    const count = Math.min(PART_ROWS, tokens.length - from);
    const part = tokens.subarray(from, from + count);
    const out = scratch.floats('put-out', count * outFeatures);
    accumulator.gather(part, out);
    const own = inner.subarray(from * inFeatures, (from + count) * inFeatures);
    const factors = moe.weightOn === 'output' ? routing.subarray(from, from + count) : null;
    if (factors !== null) scaleRows(own, inFeatures, factors);
    if (bias !== null) addBias(out, bias, factors);
    await gemm(own, data, { m: count, n: outFeatures, k: inFeatures }, { transB: true, addend: out, out });
    accumulator.scatter(part, out);
  }
}

function addBias(rows: Float32Array, bias: Float32Array, factors: Float32Array | null): void {
  for (let at = 0, row = 0; at < rows.length; row++) {
    const factor = factors === null ? 1 : factors[row]!;
    for (let i = 0; i < bias.length; i++, at++) rows[at]! += factor * bias[i]!;
  }
}
