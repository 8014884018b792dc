/** What the router chose for a run of tokens of one layer; the layer pass yields these, coverage counts them. */
export interface RoutingBatch {
  readonly layer: number;
  readonly experts: number;
  readonly topK: number;
  /** Sequence index (into the audited mix) of every token, [tokens]. */
  readonly sequenceOf: Int32Array;
  /** Position within its sequence of every token, [tokens]. */
  readonly positionOf: Int32Array;
  /** Chosen experts, [tokens × topK]. */
  readonly chosen: Int32Array;
  /** Routing weights as the model applies them, [tokens × topK]. */
  readonly weights: Float32Array;
}
