import type { RecipeChange } from './recipe-change.js';

/** What would bring the cells under the floor, and languages under theirs, up to it, out of a pool of candidates. */
export interface FixList {
  readonly floor: number;
  /** The cells under the floor, the worst first. */
  readonly cells: readonly FixCell[];
  /** Cells that no candidate of the pool feeds. */
  readonly unfed: number;
  /** Languages under their own floor. */
  readonly languages: readonly FixLanguage[];
  /** The cheapest additions found that close every gap the pool can close, by falling number of cells closed. */
  readonly additions: readonly FixAddition[];
  /** Tokens of all additions together. */
  readonly tokens: number;
  /** What the recipe would have to say; null when there is nothing to add. */
  readonly change: RecipeChange | null;
  /** The same as YAML to merge into the recipe; empty when there is nothing to add. */
  readonly recipePatch: string;
  /** Sequences of the pool that the quality gate keeps from being suggested. */
  readonly refused: number;
}

export interface FixCell {
  readonly layer: number;
  readonly expert: number;
  readonly routed: number;
  readonly missing: number;
  /** Kinds of candidates that feed it, the richest per token first. */
  readonly feeders: readonly Feeder[];
}

/** Candidates that share source, language and category. */
export interface CandidateKind {
  readonly source: string;
  readonly language: string;
  readonly category: string;
}

export interface Feeder extends CandidateKind {
  /** Tokens routed to the cell out of a thousand of its tokens. */
  readonly perThousand: number;
  /** Tokens that it can route to the cell in all. */
  readonly available: number;
  /** Its tokens needed to close the gap alone; null where all of it does not. */
  readonly tokensNeeded: number | null;
}

export interface FixAddition extends CandidateKind {
  readonly sequences: number;
  readonly tokens: number;
  /** Cells whose gap one of its sequences closed. */
  readonly cellsClosed: number;
}

export interface FixLanguage {
  readonly language: string;
  readonly missing: number;
  /** Tokens of it in the pool. */
  readonly available: number;
}
