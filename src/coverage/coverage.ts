import type { Channel } from '../mix/sequence.js';

/**
 * `coverage.json`, schema `evenkeel.coverage/1`. Later versions may add keys; none here changes its meaning or goes away.
 * All counts are of natural routing: the tokens of real sequences that the router's own top-k sends to a cell.
 */
export interface Coverage {
  readonly schema: 'evenkeel.coverage/1';
  readonly model: CoverageModel;
  /** Set when another tool counted: what it did not count is empty, null or 0 (see each field). */
  readonly imported?: { readonly format: 'imatrix' | 'moe.html'; readonly path: string };
  /** Set when only the sequences' beginnings were run: all routed tokens are then estimates. */
  readonly estimate?: CoverageEstimate;
  /** 0 when unknown. */
  readonly tokens: number;
  readonly sequences: number;
  /** Distinct samples: the windows of one sample count once. */
  readonly samples: number;
  /** Least routed tokens that every cell must have; in a dense model, least tokens of every language. */
  readonly floor: number;
  /** Language → least tokens of that language in the mix. */
  readonly languageFloors: Readonly<Record<string, number>>;
  /** Channel → least tokens of that channel in the mix. */
  readonly channelFloors: Readonly<Partial<Record<Channel, number>>>;
  /** Least median of tokens per sequence; null when none was set. */
  readonly lengthFloor: number | null;
  readonly lengths: Lengths;
  /** Layers with experts, rising; empty for a dense model. */
  readonly layers: readonly LayerCoverage[];
  readonly languages: Readonly<Record<string, GroupCoverage>>;
  readonly categories: Readonly<Record<string, GroupCoverage>>;
  readonly sources: Readonly<Record<string, GroupCoverage>>;
  readonly channels: Readonly<Record<Channel, ChannelCoverage>>;
  readonly summary: CoverageSummary;
  /** The least-fed cells, the worst first. */
  readonly worst: readonly WorstCell[];
  readonly fragile: FragileCells;
  /** Null for a dense model. */
  readonly saturation: Saturation | null;
  /** Why the verdict is `fail`; empty when it is `pass`. */
  readonly failures: readonly CoverageFailure[];
  readonly verdict: 'pass' | 'fail';
}

export interface CoverageModel {
  readonly path: string;
  readonly architecture: string;
}

/** How far estimated counts can be trusted. */
export interface CoverageEstimate {
  /** Tokens run of every sequence at most. */
  readonly prefix: number;
  /** Sequences drawn at random that were run whole besides: they show what beginnings miss. */
  readonly pilot: number;
  /** Tokens that went through the model. */
  readonly tokensRun: number;
  /** Of the intervals, cell by cell: 0.95. */
  readonly confidence: number;
  /** Bounds of the routed tokens, one row of [experts] for each of `layers`. */
  readonly low: readonly (readonly number[])[];
  readonly high: readonly (readonly number[])[];
  /** Cells that may be above or under the floor. */
  readonly open: number;
}

/** Tokens per sequence. */
export interface Lengths {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface LayerCoverage {
  readonly layer: number;
  readonly experts: number;
  /** 0 when unknown. */
  readonly topK: number;
  /** [experts] */
  readonly routed: readonly number[];
  /** Distinct samples behind each cell, [experts]; [] when unknown. */
  readonly samples: readonly number[];
  /** Σ of routing weights, [experts]; [] when unknown. */
  readonly gateMass: readonly number[];
  /** Tokens fed to each cell against the router's choice, [experts]; they never satisfy the floor. */
  readonly forced?: readonly number[];
  readonly balance: Balance;
}

/** How evenly one layer's experts share its routed tokens. f_e is expert e's share, E the number of experts. */
export interface Balance {
  /** MoEQuant's balance, √(1/E · Σ(f_e − 1/E)²). */
  readonly sigma: number;
  /** Coefficient of variation: standard deviation over mean, E·sigma. */
  readonly cv: number;
  /** 0 when all experts get the same, towards 1 when one gets everything. */
  readonly gini: number;
  /** −Σ f_e ln f_e / ln E: 1 when even. */
  readonly entropy: number;
}

export interface GroupCoverage {
  readonly samples: number;
  readonly sequences: number;
  readonly tokens: number;
  /** Tokens per channel; channels without any are left out. */
  readonly channels: Readonly<Partial<Record<Channel, number>>>;
  /** Routed tokens, one row of [experts] for each of `layers`. */
  readonly routed: readonly (readonly number[])[];
  /** Distinct samples behind each cell, and Σ of routing weights, in rows as `routed`; [] when unknown. */
  readonly cellSamples: readonly (readonly number[])[];
  readonly gateMass: readonly (readonly number[])[];
}

export interface ChannelCoverage {
  readonly tokens: number;
  /** Both in rows as a group's; [] when unknown. */
  readonly routed: readonly (readonly number[])[];
  readonly gateMass: readonly (readonly number[])[];
}

/** Over all cells; `sigma`, `cv`, `gini` and `entropy` are means over layers. All zero (entropy 1) without cells. */
export interface CoverageSummary extends Balance {
  readonly cells: number;
  readonly empty: number;
  /** Cells under 16, 64 and 256 routed tokens. */
  readonly below: Readonly<Record<'16' | '64' | '256', number>>;
  /** Cells under this audit's own floor. */
  readonly underFloor: number;
  readonly min: number;
  /** First percentile, nearest rank. */
  readonly p01: number;
  readonly median: number;
  readonly max: number;
}

export interface WorstCell {
  readonly layer: number;
  readonly expert: number;
  readonly routed: number;
  /** Null when unknown. */
  readonly samples: number | null;
  /** The languages that feed it most, at most three. */
  readonly topLanguages: readonly string[];
  readonly topSources: readonly string[];
}

/** Cells that hang on one thing: when it leaves the mix, they starve. Empty cells are not counted here. */
export interface FragileCells {
  /** Null when unknown. */
  readonly oneSample: number | null;
  /** Null when the whole mix is of one source (or language). */
  readonly oneSource: number | null;
  readonly oneLanguage: number | null;
}

/** How the cells filled up, over the sequences in a shuffled order, so that a mix sorted by source shows no steps. */
export interface Saturation {
  readonly points: readonly SaturationPoint[];
  /** What more of the same mix would bring, if each cell's share of the tokens stays what it is. */
  readonly tokensForFloor: {
    /** Total tokens at which half, 99 % and all of the cells reach the floor; null when empty cells stand in the way. */
    readonly half: number | null;
    readonly most: number | null;
    readonly all: number | null;
  };
  /** `tokensForFloor.all` less the tokens there are: 0 when the floor is reached, null when a cell got nothing. */
  readonly moreTokens: number | null;
}

export interface SaturationPoint {
  readonly tokens: number;
  readonly atFloor: number;
  readonly fed: number;
}

export type CoverageFailure =
  | { readonly kind: 'cells'; readonly cells: number; readonly floor: number }
  /** Estimates that span the floor. */
  | { readonly kind: 'open'; readonly cells: number; readonly floor: number }
  | { readonly kind: 'language'; readonly language: string; readonly tokens: number; readonly floor: number }
  | { readonly kind: 'channel'; readonly channel: Channel; readonly tokens: number; readonly floor: number }
  /** Half of the sequences are shorter than the floor. */
  | { readonly kind: 'length'; readonly median: number; readonly floor: number };
