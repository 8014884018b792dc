/** W'[o, i] = W[o, i] · inputScales[i] / outputScales[o], in place. */
export function smoothWeight(
  weight: Float32Array,
  inFeatures: number,
  inputScales: Float32Array | null,
  outputScales: Float32Array | null,
): Float32Array {
  const rows = weight.length / inFeatures;
  for (let o = 0; o < rows; o++) {
    const divisor = outputScales === null ? 1 : outputScales[o]!;
    if (inputScales === null && divisor === 1) continue;
    for (let i = 0, at = o * inFeatures; i < inFeatures; i++, at++) {
      weight[at] = (weight[at]! * (inputScales === null ? 1 : inputScales[i]!)) / divisor;
    }
  }
  return weight;
}
