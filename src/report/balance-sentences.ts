import type { BalanceReport, MissingCellReport } from '../mix/balance-report.js';
import { count, listing, percent, plural } from './text.js';

/** Cells named in a sentence. */
const NAMED = 5;

/** What choosing for balance did, and what it could not do, one sentence each. */
export function balanceSentences(balance: BalanceReport): string[] {
  const { pool, choices, tokens, objective, floor, multiple, missing } = balance;
  const refused = pool.looped + pool.copies;
  const gate =
    refused === 0
      ? ''
      : `, of which the quality gate refused ${count(refused)} (${count(pool.looped)} looped, ${plural(pool.copies, 'copy', 'copies')})`;
  const target = multiple === 1 ? 'the floor' : `${count(floor * multiple)} tokens a cell`;
  const byPrefix = pool.prefix === null ? '' : ` by the first ${plural(pool.prefix, 'token')} of each`;
  const [unfed, closable] = [missing.filter(isHopeless(floor)), missing.filter((cell) => !isHopeless(floor)(cell))];
  return [
    `The draw did not hold, so ${plural(choices.length, 'sequence')} (${plural(tokens, 'token')}) were chosen for balance out ` +
      `of ${count(pool.sequences)}${byPrefix}${gate}: ${percent(objective)} of ${target} filled.`,
    ...(unfed.length === 0
      ? []
      : [
          `Nothing in the pool can bring ${plural(unfed.length, 'cell')} to the floor of ${count(floor)}: ${named(
            unfed,
            ({ available }) => `at most ${count(available)}`,
          )}.`,
        ]),
    ...(closable.length === 0
      ? []
      : [
          `Budget or quotas leave ${plural(closable.length, 'cell')} under the floor: ${named(closable, ({ routed }) =>
            count(routed),
          )}. ${closingSentence(balance) ?? ''}`.trim(),
        ]),
  ];
}

/** What more of the pool would bring, past budget and quotas; null where nothing would. */
export function closingSentence({ closing, missing, floor }: BalanceReport): string | null {
  if (closing.length === 0) return null;
  const closable = missing.filter((cell) => !isHopeless(floor)(cell)).length;
  const tokens = closing.reduce((sum, one) => sum + one.tokens, 0);
  return (
    `${plural(tokens, 'token')} more of the pool (${plural(closing.length, 'sequence')}) would bring ` +
    `${closable === 1 ? 'it' : 'them'} there: raise mix.tokens, or the quotas that keep them out.`
  );
}

function isHopeless(floor: number): (cell: MissingCellReport) => boolean {
  return ({ available }) => available < floor;
}

function named(cells: readonly MissingCellReport[], tokens: (cell: MissingCellReport) => string): string {
  const shown = cells.slice(0, NAMED).map((cell) => `layer ${cell.layer} expert ${cell.expert} (${tokens(cell)})`);
  const more = cells.length - shown.length;
  return listing(more > 0 ? [...shown, `${count(more)} more`] : shown);
}
