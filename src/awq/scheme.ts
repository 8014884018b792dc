/** How codes are laid out: 4 or 8 bits, symmetric (−2^(b−1) … 2^(b−1)−1) or asymmetric, by group or by channel. */
export interface Scheme {
  readonly bits: 4 | 8;
  readonly symmetric: boolean;
  /** Input channels that share a scale; `channel` means one scale per output row. */
  readonly groupSize: number | 'channel';
}

/**
 * One quantized Linear, independent of any file format: W[n, k] ≈ (codes[n, k] − zeroPoints[n, g]) · scales[n, g] with
 * g = ⌊k / group⌋.
 */
export interface QuantizedLinear {
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly scheme: Scheme;
  /** [out, in], signed domain: −8…7 for 4 bits, −128…127 for 8 bits, also when asymmetric. */
  readonly codes: Int8Array;
  /** [out, groups], already rounded to `scaleDtype`. A symmetric scale may be negative. */
  readonly scales: Float32Array;
  /** [out, groups], signed domain like the codes; null when symmetric. */
  readonly zeroPoints: Int8Array | null;
  /** The dtype the scales were rounded to, and are written in. */
  readonly scaleDtype: 'BF16' | 'F16';
}

/** Groups along the input dimension. */
export function groupCount(scheme: Scheme, inFeatures: number): number {
  return scheme.groupSize === 'channel' ? 1 : inFeatures / scheme.groupSize;
}
