import type { Selection } from './balance.js';
import type { Reason } from './balance-problem.js';
import type { Sequence } from './sequence.js';

/** `balance.json` of a mix whose rows were chosen for balance, schema `evenkeel.balance/1`. */
export interface BalanceReport {
  readonly schema: 'evenkeel.balance/1';
  readonly floor: number;
  /** Cells were worth filling up to floor × multiple. */
  readonly multiple: number;
  readonly pool: {
    readonly sequences: number;
    readonly tokens: number;
    /** Sequences that the quality gate refused, because they loop or copy another. */
    readonly looped: number;
    readonly copies: number;
    /** Tokens of each candidate that were run to choose by; null for all. */
    readonly prefix: number | null;
  };
  readonly tokens: number;
  /** Mean over cells of min(routed, floor × multiple) / (floor × multiple), each by its layer's weight. */
  readonly objective: number;
  /** In the order they were chosen. */
  readonly choices: readonly ReportedChoice[];
  /** Cells that stay under the floor. */
  readonly missing: readonly MissingCellReport[];
  /** Candidates left out, for budget or quotas, that would close what is missing; the cheapest per token first. */
  readonly closing: readonly ClosingReport[];
}

export interface SequenceName {
  readonly source: string;
  readonly record: string;
  readonly window: number;
  readonly language: string;
  readonly category: string;
  readonly tokens: number;
}

export interface ReportedChoice extends SequenceName {
  readonly reason: Reason;
  /** What it added to the objective when it was taken, 0…1. */
  readonly gain: number;
}

export interface MissingCellReport {
  readonly layer: number;
  readonly expert: number;
  readonly routed: number;
  /** Tokens that the whole pool could route to it; under the floor, no choice can save the cell. */
  readonly available: number;
}

export interface ClosingReport extends SequenceName {
  /** Routed tokens that it would bring to cells under the floor. */
  readonly gain: number;
}

export interface BalanceFacts extends Pick<BalanceReport, 'floor' | 'multiple'> {
  readonly pool: readonly Sequence[];
  readonly looped: number;
  readonly copies: number;
  readonly prefix: number | null;
  /** Layers with experts, in the order in which cells are numbered. */
  readonly layers: readonly { readonly layer: number; readonly experts: number }[];
}

export function reportSelection(selection: Selection, facts: BalanceFacts): BalanceReport {
  const { pool, layers, floor, multiple, looped, copies, prefix } = facts;
  const places = layers.flatMap(({ layer, experts }) =>
    Array.from({ length: experts }, (_, expert) => ({ layer, expert })),
  );
  const name = (index: number): SequenceName => {
    const { source, recordId, window, language, category, inputIds } = pool[index]!;
    return { source, record: recordId, window, language, category, tokens: inputIds.length };
  };
  return {
    schema: 'evenkeel.balance/1',
    floor,
    multiple,
    pool: {
      sequences: pool.length,
      tokens: pool.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
      looped,
      copies,
      prefix,
    },
    tokens: selection.tokens,
    objective: selection.objective,
    choices: selection.chosen.map(({ index, reason, gain }) => ({ ...name(index), reason, gain })),
    missing: selection.missing.map(({ cell, routed, available }) => ({ ...places[cell]!, routed, available })),
    closing: selection.closing.map(({ index, gain }) => ({ ...name(index), gain })),
  };
}
