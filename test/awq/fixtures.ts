import type { QuantizedLinear } from '../../src/awq/scheme.js';

/** Deterministic normal deviates (xorshift32 and Box–Muller). */
export function normals(length: number, seed: number): Float32Array {
  let state = seed >>> 0 || 1;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
  return Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

/** Inputs [tokens, channels] with a few strong directions and a few large channels, as hidden states have. */
export function correlatedInputs(tokens: number, channels: number, seed: number, rank = 12): Float32Array {
  const [mixing, latent, noise] = [
    normals(rank * channels, seed),
    normals(tokens * rank, seed + 1),
    normals(tokens * channels, seed + 2),
  ];
  const inputs = new Float32Array(tokens * channels);
  for (let t = 0; t < tokens; t++) {
    for (let j = 0; j < channels; j++) {
      let sum = 0.5 * noise[t * channels + j]!;
      for (let r = 0; r < rank; r++) sum += (latent[t * rank + r]! * mixing[r * channels + j]!) / Math.sqrt(rank);
      inputs[t * channels + j] = sum * (j % 29 === 3 ? 6 : 1);
    }
  }
  return inputs;
}

/** XᵀX / n in f64. */
export function gramOf(inputs: Float32Array, channels: number): Float32Array {
  const tokens = inputs.length / channels;
  const sum = new Float64Array(channels * channels);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < channels; i++) {
      const x = inputs[t * channels + i]!;
      for (let j = 0; j < channels; j++) sum[i * channels + j]! += x * inputs[t * channels + j]!;
    }
  }
  return Float32Array.from(sum, (value) => value / tokens);
}

export function dequantize({ codes, scales, zeroPoints, outFeatures, inFeatures }: QuantizedLinear): Float32Array {
  const groups = scales.length / outFeatures;
  const width = inFeatures / groups;
  return Float32Array.from(codes, (code, at) => {
    const group = Math.floor(at / inFeatures) * groups + Math.floor((at % inFeatures) / width);
    return (code - (zeroPoints?.[group] ?? 0)) * scales[group]!;
  });
}

export function subtract(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value - b[i]!);
}

/** Σ over tokens and outputs of (W·x)², per token, by running the Linear in f64. */
export function outputEnergy(weight: Float32Array, inputs: Float32Array, channels: number): number {
  const tokens = inputs.length / channels;
  let total = 0;
  for (let o = 0; o < weight.length; o += channels) {
    for (let t = 0; t < inputs.length; t += channels) {
      let y = 0;
      for (let j = 0; j < channels; j++) y += weight[o + j]! * inputs[t + j]!;
      total += y * y;
    }
  }
  return total / tokens;
}
