import type { GainTracker } from './balance-gains.js';

/** What balanced selection needs to know of a candidate sequence. */
export interface BalanceCandidate {
  readonly tokens: number;
  readonly language: string;
  readonly category: string;
}

/** Tokens that a language or category must and may have. */
export interface Quota {
  readonly least?: number;
  readonly most?: number;
}

export type Quotas = Readonly<Record<string, Quota>>;

export interface SelectionLimits {
  /** Tokens of all chosen sequences together. */
  readonly budget: number;
  readonly languages: Quotas;
  readonly categories: Quotas;
}

/** A selection in the making: what each cell has, and what room the limits leave. */
export interface SelectionState {
  readonly tracker: GainTracker;
  readonly chosen: Uint8Array;
  readonly tokens: number;
  fits(index: number): boolean;
  /** Whether a language or category of the candidate still lacks tokens of its `least`. */
  isWanted(index: number): boolean;
  add(index: number): void;
  remove(index: number): void;
}

export function createSelectionState(
  candidates: readonly BalanceCandidate[],
  limits: SelectionLimits,
  tracker: GainTracker,
): SelectionState {
  const chosen = new Uint8Array(candidates.length);
  const languages = createRooms(limits.languages);
  const categories = createRooms(limits.categories);
  let tokens = 0;
  const change = (index: number, sign: 1 | -1): void => {
    const candidate = candidates[index]!;
    tokens += sign * candidate.tokens;
    languages.use(candidate.language, sign * candidate.tokens);
    categories.use(candidate.category, sign * candidate.tokens);
    chosen[index] = sign === 1 ? 1 : 0;
    tracker.move(index, sign);
  };
  return {
    tracker,
    chosen,
    get tokens() {
      return tokens;
    },
    fits(index) {
      const candidate = candidates[index]!;
      return (
        tokens + candidate.tokens <= limits.budget &&
        languages.fits(candidate.language, candidate.tokens) &&
        categories.fits(candidate.category, candidate.tokens)
      );
    },
    isWanted(index) {
      const candidate = candidates[index]!;
      return languages.lacks(candidate.language) || categories.lacks(candidate.category);
    },
    add: (index) => change(index, 1),
    remove: (index) => change(index, -1),
  };
}

function createRooms(quotas: Quotas) {
  const limits = new Map(Object.entries(quotas));
  const used = new Map<string, number>();
  return {
    fits: (group: string, tokens: number): boolean =>
      (used.get(group) ?? 0) + tokens <= (limits.get(group)?.most ?? Infinity),
    lacks: (group: string): boolean => (used.get(group) ?? 0) < (limits.get(group)?.least ?? 0),
    use: (group: string, tokens: number): void => {
      used.set(group, (used.get(group) ?? 0) + tokens);
    },
  };
}
