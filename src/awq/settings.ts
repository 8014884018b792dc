import type { Scheme } from './scheme.js';

/** How the codes of one Linear are found once its input channels are smoothed. */
export interface RoundingSettings {
  /** `gptq` feeds each column's rounding error into the columns after it. */
  readonly rounding: 'nearest' | 'gptq';
  /** Search per row and group for the range that loses least under the group's block of the Gram. */
  readonly clip: boolean;
  /** Symmetric schemes only: the group's extreme value falls on the lowest code, and the scale takes its sign. */
  readonly signedScales: boolean;
  /** Refit group scales by least squares under the Gram, codes fixed. */
  readonly refit: boolean;
  /** Sweeps of coordinate descent over the codes. */
  readonly descentSweeps: number;
  /** Added to the Gram's diagonal before it is factored, as a share of the diagonal's mean. */
  readonly damping: number;
  /** Order in which error feedback visits columns: by falling diagonal of the Gram, or as they are stored. */
  readonly columnOrder: 'diagonal' | 'stored';
}

export const DEFAULT_ROUNDING: RoundingSettings = {
  rounding: 'gptq',
  clip: true,
  signedScales: true,
  refit: true,
  descentSweeps: 2,
  damping: 0.01,
  columnOrder: 'diagonal',
};

/** compressed-tensors' own round-to-nearest: min–max parameters, no clipping, positive scales. The usual baseline. */
export const ROUND_TO_NEAREST: RoundingSettings = {
  rounding: 'nearest',
  clip: false,
  signedScales: false,
  refit: false,
  descentSweeps: 0,
  damping: 0.01,
  columnOrder: 'stored',
};

export interface SearchSettings {
  /** Candidates in all, identity included. */
  readonly grid: number;
  /** Let the candidates depend on the weights too, not only on the activations; `both` halves the grid for each kind. */
  readonly duoScaling: boolean | 'both';
  readonly signedScales: boolean;
  /** Output rows judged over all Linears of an edge; they are spread evenly. Infinity judges every row. */
  readonly rowBudget: number;
}

export const DEFAULT_SEARCH: SearchSettings = { grid: 20, duoScaling: true, signedScales: true, rowBudget: 2048 };

/** A scheme's constants as the kernels take them. */
export interface Levels {
  /** 2^(bits−1): codes run from −half to half − 1. */
  readonly half: number;
  /** 2^bits − 1 steps between the lowest and the highest code. */
  readonly steps: number;
  /** Kernel's parameter mode: 0 symmetric, 1 symmetric with signed scales, 2 asymmetric. */
  readonly mode: 0 | 1 | 2;
}

export function levelsOf(scheme: Scheme, signedScales: boolean): Levels {
  const half = 2 ** (scheme.bits - 1);
  return { half, steps: 2 * half - 1, mode: scheme.symmetric ? (signedScales ? 1 : 0) : 2 };
}

/** Scale of a group of zeros: the dtype's epsilon, as compressed-tensors has it. */
export const SCALE_EPSILON = { BF16: 2 ** -7, F16: 2 ** -10 } as const;
