/** One token's comparison of two models, in nats. */
export interface TokenDivergence {
  /** KL(p‖q) of the next-token distributions. */
  readonly kl: Float64Array;
  /** −log p and −log q of the token that really follows; NaN at a sequence's last position. */
  readonly surprise: Float64Array;
  readonly otherSurprise: Float64Array;
  /** 1 where both models' likeliest next token agree. */
  readonly agrees: Uint8Array;
}

/** Running partition functions of two models over spans of the vocabulary, per token. */
export interface Partitions {
  readonly max: [p: Float64Array, q: Float64Array];
  readonly sum: [p: Float64Array, q: Float64Array];
  /** Σ e^(l_p − max_p)·(l_p − l_q). */
  readonly cross: Float64Array;
  readonly best: [p: Int32Array, q: Int32Array];
  readonly bestLogit: [p: Float64Array, q: Float64Array];
}

export function createPartitions(tokens: number): Partitions {
  const low = (): Float64Array => new Float64Array(tokens).fill(-Infinity);
  const zero = (): Float64Array => new Float64Array(tokens);
  return {
    max: [low(), low()],
    sum: [zero(), zero()],
    cross: zero(),
    best: [new Int32Array(tokens), new Int32Array(tokens)],
    bestLogit: [low(), low()],
  };
}

/** One span's outputs of the divergence graph, per token. */
export interface SpanOutputs {
  readonly max: readonly [p: Float32Array, q: Float32Array];
  readonly sum: readonly [p: Float32Array, q: Float32Array];
  readonly cross: Float32Array;
  readonly best: readonly [p: Float32Array, q: Float32Array];
}

/** Adds the vocabulary span that begins at `first`, rescaling to the new maximum as online softmax does. */
export function addSpan(partitions: Partitions, span: SpanOutputs, first: number): void {
  const { max, sum, cross, best, bestLogit } = partitions;
  for (const side of [0, 1] as const) {
    for (let t = 0; t < cross.length; t++) {
      const own = span.max[side][t]!;
      const old = max[side][t]!;
      const next = Math.max(old, own);
      const [keep, take] = [Math.exp(old - next), Math.exp(own - next)];
      sum[side][t] = sum[side][t]! * keep + span.sum[side][t]! * take;
      if (side === 0) cross[t] = cross[t]! * keep + span.cross[t]! * take;
      max[side][t] = next;
      if (own > bestLogit[side][t]!) {
        bestLogit[side][t] = own;
        best[side][t] = first + span.best[side][t]!;
      }
    }
  }
}

/** log Σ e^l of one side. */
export function logPartition({ max, sum }: Partitions, side: 0 | 1, token: number): number {
  return max[side][token]! + Math.log(sum[side][token]!);
}

/** KL(p‖q) = E_p[l_p − l_q] − log Z_p + log Z_q; rounding may leave it a hair below 0. */
export function klDivergence(partitions: Partitions, token: number): number {
  const mean = partitions.cross[token]! / partitions.sum[0][token]!;
  return Math.max(0, mean - logPartition(partitions, 0, token) + logPartition(partitions, 1, token));
}
