import type { Sequence } from '../mix/sequence.js';

/**
 * The same sequences in an order that depends on nothing but what they are. Statistics are sums, but a layer's own are
 * taken on evenly spaced tokens, and sums in floating point keep their last bits only if they are added in one order: so
 * laid out, a mix gives the same checkpoint however its rows were ordered.
 */
export function inCanonicalOrder(sequences: readonly Sequence[]): readonly Sequence[] {
  return sequences.toSorted(
    (a, b) =>
      compareIds(a.inputIds, b.inputIds) ||
      compareText(a.language, b.language) ||
      compareText(a.category, b.category) ||
      compareText(a.source, b.source) ||
      compareText(a.recordId, b.recordId) ||
      a.window - b.window,
  );
}

function compareIds(a: Int32Array, b: Int32Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** By code units: collation differs from machine to machine. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
