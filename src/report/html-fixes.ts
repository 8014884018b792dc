import type { FixList } from '../coverage/fixes.js';
import { escapeHtml, htmlTable } from './html-escape.js';
import { languageGapSentence } from './sentences.js';
import { count, languageName, plural } from './text.js';

/** Rows of a fix list's table of cells. */
const FIX_CELLS_SHOWN = 200;

export function fixSection(fixes: FixList): string {
  const additions = htmlTable(
    'Additions that close the gaps',
    [
      { title: 'language' },
      ...['tokens', 'cells closed', 'sequences'].map((title) => ({ title, number: true })),
      { title: 'category' },
      { title: 'source' },
    ],
    fixes.additions.map(({ source, language, category, sequences, tokens, cellsClosed }) => [
      languageName(language),
      count(tokens),
      count(cellsClosed),
      count(sequences),
      category,
      source,
    ]),
  );
  const shown = fixes.cells.slice(0, FIX_CELLS_SHOWN);
  const cells = htmlTable(
    'What feeds each cell under the floor',
    [
      { title: 'cell' },
      { title: 'routed', number: true },
      { title: 'missing', number: true },
      { title: 'best fed by' },
      { title: 'its tokens needed', number: true },
    ],
    shown.map(({ layer, expert, routed, missing, feeders }) => {
      const best = feeders[0];
      return [
        `layer ${layer}, expert ${expert}`,
        count(routed),
        count(missing),
        best === undefined
          ? 'nothing in the pool'
          : `${languageName(best.language)}, ${best.category} (${best.source})`,
        best?.tokensNeeded == null ? '–' : count(best.tokensNeeded),
      ];
    }),
  );
  const languages = fixes.languages.map((gap) => `<p>${escapeHtml(languageGapSentence(gap))}</p>`).join('');
  const unfed = fixes.unfed === 0 ? '' : `<p>${plural(fixes.unfed, 'cell')} that nothing in the pool feeds.</p>`;
  const refused =
    fixes.refused === 0
      ? ''
      : `<p>${plural(fixes.refused, 'sequence')} of the pool loop or copy another, and are not suggested.</p>`;
  const more = fixes.cells.length - shown.length;
  return (
    '<section id="fixes"><h2>What to add</h2>' +
    (fixes.additions.length === 0
      ? ''
      : `<p>About ${count(fixes.tokens)} more tokens close every gap that the pool can close.</p>${additions}`) +
    `${languages}${unfed}${refused}<details><summary>Cell by cell</summary>${cells}${more === 0 ? '' : `<p>and ${count(more)} more.</p>`}</details>` +
    (fixes.recipePatch === ''
      ? ''
      : '<details><summary>As a change to the recipe</summary><button type="button" id="copy-patch">Copy</button>' +
        `<pre id="recipe-patch" tabindex="0">${escapeLines(fixes.recipePatch)}</pre></details>`) +
    '</section>'
  );
}

/** Escapes line by line: line ends are control characters, and these must stay. */
function escapeLines(text: string): string {
  return text.split('\n').map(escapeHtml).join('\n');
}
