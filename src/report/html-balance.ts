import type { BalanceReport } from '../mix/balance-report.js';
import { balanceSentences } from './balance-sentences.js';
import { escapeHtml, htmlTable } from './html-escape.js';
import { count, languageName, percent } from './text.js';

/** Rows of the table of choices. */
const CHOICES_SHOWN = 200;

const REASONS = {
  must: 'must be included',
  quota: 'a quota lacked it',
  balance: 'feeds hungry cells',
  fill: 'fills the shares',
} as const;

/** How the rows were chosen: what each choice gained, and what would still be missing. */
export function balanceSection(balance: BalanceReport): string {
  const { choices, missing, closing, floor } = balance;
  const number = (title: string) => ({ title, number: true });
  const shown = choices.slice(0, CHOICES_SHOWN);
  const chosen = htmlTable(
    'Rows in the order they were chosen',
    [
      { title: 'language' },
      { title: 'why' },
      number('tokens'),
      number('of the goal'),
      { title: 'category' },
      { title: 'row' },
    ],
    shown.map(({ language, reason, tokens, gain, category, source, record, window }) => [
      languageName(language),
      REASONS[reason],
      count(tokens),
      percent(gain),
      category,
      `${source}: ${record}, window ${window}`,
    ]),
  );
  const gaps =
    missing.length === 0
      ? ''
      : htmlTable(
          'Cells that stay under the floor',
          [{ title: 'cell' }, number('routed tokens'), number('pool could give')],
          missing.map(({ layer, expert, routed, available }) => [
            `layer ${layer}, expert ${expert}`,
            count(routed),
            available < floor ? { html: `<span class="low">${count(available)} (too few)</span>` } : count(available),
          ]),
        );
  const closers =
    closing.length === 0
      ? ''
      : '<details><summary>Rows left out that would close them</summary>' +
        htmlTable(
          'Rows that would close the gaps',
          [{ title: 'language' }, number('tokens'), number('missing tokens it brings'), { title: 'row' }],
          closing.map(({ language, tokens, gain, source, record, window }) => [
            languageName(language),
            count(tokens),
            count(gain),
            `${source}: ${record}, window ${window}`,
          ]),
        ) +
        '</details>';
  const more = choices.length - shown.length;
  return (
    '<section id="balance"><h2>How the rows were chosen</h2>' +
    balanceSentences(balance)
      .map((sentence) => `<p>${escapeHtml(sentence)}</p>`)
      .join('') +
    `${gaps}${closers}<details><summary>Choice by choice</summary>${chosen}` +
    `${more === 0 ? '' : `<p>and ${count(more)} more.</p>`}</details></section>`
  );
}
