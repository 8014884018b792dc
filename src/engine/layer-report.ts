/** One edge's search. */
export interface EdgeReport {
  readonly edge: string;
  /** null: the identity was best. */
  readonly ratio: number | null;
  readonly lossBefore: number;
  readonly loss: number;
}

export interface LinearReport {
  readonly module: string;
  readonly relativeError: number;
}

export interface CellReport {
  readonly expert: number;
  readonly tokens: number;
  readonly ownShare: number;
  /** The search of the expert's up → down edge: null where it was left alone, and its losses where it was searched. */
  readonly downRatio: number | null;
  readonly downLossBefore: number;
  readonly downLoss: number;
  /** Relative output error of gate, up, down. */
  readonly relativeErrors: readonly number[];
}

export interface LayerReport {
  readonly layer: number;
  readonly edges: readonly EdgeReport[];
  readonly linears: readonly LinearReport[];
  readonly experts: readonly CellReport[];
  /** √(‖ΔX‖² / ‖WX‖²) over sampled tokens of each language, at the layer's Linears but the routed experts' downs. */
  readonly languageErrors: Readonly<Record<string, number>>;
}
