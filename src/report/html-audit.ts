import type { Coverage } from '../coverage/coverage.js';
import type { FixList } from '../coverage/fixes.js';
import { languageTable } from '../coverage/verdict.js';
import { CHANNELS } from '../mix/sequence.js';
import { saturationChart } from './html-charts.js';
import { escapeHtml, htmlTable, type HtmlCell } from './html-escape.js';
import type { ReportData } from './report-data.js';
import {
  adviceSentence,
  balanceSentence,
  fragileSentence,
  saturationSentence,
  subjectSentence,
  verdictSentence,
} from './sentences.js';
import { count, figure, languageName, percent, plural } from './text.js';

/** Rows of a fix list's table of cells. */
const FIX_CELLS_SHOWN = 200;

export function verdictBlock(coverage: Coverage): string {
  const { verdict, summary, layers, worst } = coverage;
  const advice = adviceSentence(coverage);
  const figures: (readonly [string, string])[] = [
    ...(coverage.tokens === 0 ? [] : ([['tokens', count(coverage.tokens)]] as const)),
    ...(coverage.imported !== undefined
      ? []
      : ([
          ['sequences', count(coverage.sequences)],
          ['samples', count(coverage.samples)],
          ['languages', count(Object.keys(coverage.languages).length)],
        ] as const)),
    ...(layers.length === 0
      ? []
      : ([
          [`of ${count(summary.cells)} cells under the floor of ${count(coverage.floor)}`, count(summary.underFloor)],
          ['routed tokens in the least-fed cell', count(worst[0]!.routed)],
          ['routed tokens in the median cell', count(summary.median)],
        ] as const)),
  ];
  return (
    `<div class="verdict ${verdict}"><p class="sentence"><span class="badge">${verdict === 'pass' ? '✓ PASS' : '✕ FAIL'}</span> ` +
    `${escapeHtml(verdictSentence(coverage))}</p>${advice === null ? '' : `<p>${escapeHtml(advice)}</p>`}</div>` +
    `<p class="subject">${escapeHtml(subjectSentence(coverage))}.</p>` +
    `<dl class="figures">${figures.map(([term, value]) => `<div><dt>${escapeHtml(term)}</dt><dd>${value}</dd></div>`).join('')}</dl>`
  );
}

export function languageSection(coverage: Coverage): string {
  const table = languageTable(coverage);
  const used = CHANNELS.flatMap((channel, c) => (coverage.channels[channel].tokens > 0 ? [{ channel, c }] : []));
  const floors = table.some(({ floor }) => floor !== null);
  const most = Math.max(1, ...table.map(({ tokens }) => tokens));
  const keys = used.map(({ channel, c }) => `<span><i style="background:var(--channel-${c})"></i>${channel}</span>`);
  const columns = [
    { title: 'language' },
    { title: '' },
    ...['tokens', 'share', ...(floors ? ['floor'] : []), 'samples', ...used.map(({ channel }) => channel)].map(
      (title) => ({
        title,
        number: true,
      }),
    ),
  ];
  const rows = table.map((row): HtmlCell[] => {
    const own = Object.hasOwn(coverage.languages, row.language) ? coverage.languages[row.language]!.channels : {};
    const segments = used.flatMap(({ channel, c }) =>
      own[channel] === undefined
        ? []
        : `<i style="background:var(--channel-${c});width:${((own[channel] / most) * 100).toFixed(2)}%"></i>`,
    );
    const floor = row.floor === null ? '' : count(row.floor);
    return [
      { html: `${escapeHtml(languageName(row.language))} <span class="tag">${escapeHtml(row.language)}</span>` },
      { html: `<div class="bar" aria-hidden="true">${segments.join('')}</div>` },
      row.underFloor ? { html: `<span class="low">${count(row.tokens)} (under)</span>` } : count(row.tokens),
      percent(row.share),
      ...(floors ? [floor] : []),
      count(row.samples),
      ...used.map(({ channel }) => count(own[channel] ?? 0)),
    ];
  });
  return (
    `<section id="languages"><h2>Tokens by language and channel</h2><div class="legend keys">${keys.join('')}</div>` +
    htmlTable('Tokens by language and channel', columns, rows) +
    `<p class="tag">Sequences are ${count(coverage.lengths.min)} to ${count(coverage.lengths.max)} tokens long, ` +
    `${count(coverage.lengths.median)} in the middle.</p></section>`
  );
}

export function expertSection(data: ReportData): string {
  const { coverage, quantization } = data;
  const { layers, languages, floor } = coverage;
  const metrics =
    coverage.imported === undefined ? ['routed tokens', 'distinct samples', 'gate mass'] : ['routed tokens'];
  if (quantization !== undefined && quantization.cells.length > 0) {
    metrics.push('relative error after quantizing', 'statistics taken from the layer');
  }
  const byTokens = Object.keys(languages).sort((a, b) => languages[b]!.tokens - languages[a]!.tokens);
  const options =
    `<optgroup label="All text">${metrics.map((label, i) => `<option value="metric:${i}">${label}</option>`).join('')}</optgroup>` +
    (byTokens.length === 0
      ? ''
      : `<optgroup label="Routed tokens of one language">${byTokens
          .map((tag, i) => `<option value="language:${i}">${escapeHtml(languageName(tag))}</option>`)
          .join('')}</optgroup>`);
  const fragile = fragileSentence(coverage);
  const { saturation } = coverage;
  const curve =
    saturation === null || saturation.points.length < 2
      ? ''
      : `<figure>${saturationChart(saturation, coverage.summary.cells)}</figure>`;
  const layerOptions = layers.map(({ layer }, l) => `<option value="${l}">layer ${layer}</option>`).join('');
  return (
    '<section id="experts"><h2>Which experts the text reaches</h2>' +
    '<p>Every square is one expert of one layer. Only the router’s own choices count.</p>' +
    '<div class="controls"><label>Show <select id="cell-metric">' +
    `${options}</select></label><button type="button" id="next-under" hidden>Next cell under the floor</button></div>` +
    mapFigure('cell-map', 'Heat map of layers by experts') +
    `<details><summary>The same by layer, as a table</summary>${layerTable(coverage)}</details>` +
    `<p>${escapeHtml(balanceSentence(coverage))}.</p>${fragile === null ? '' : `<p>${escapeHtml(fragile)}</p>`}` +
    (byTokens.length === 0
      ? ''
      : '<h3>Which language feeds which expert</h3>' +
        `<div class="controls"><label>In <select id="language-layer">${layerOptions}</select></label></div>` +
        mapFigure('language-map', 'Heat map of languages by experts of one layer')) +
    '</section><section id="saturation"><h2>Would more of the same help?</h2>' +
    `<p>${escapeHtml(saturationSentence(coverage))}</p>${curve}</section>` +
    `<section id="worst"><h2>Least-fed cells</h2>${worstTable(coverage, floor)}</section>`
  );
}

/** The frame that the page's script draws into. */
export function mapFigure(id: string, label: string): string {
  return (
    `<figure class="map" id="${id}"><div class="scroll"><canvas tabindex="0" role="application" aria-roledescription="heat map" ` +
    `aria-label="${label}; arrow keys move from cell to cell" aria-describedby="${id}-cell"></canvas></div>` +
    `<div class="legend"></div><output id="${id}-cell" aria-live="polite"></output></figure>`
  );
}

function layerTable({ layers, floor }: Coverage): string {
  const columns = [
    { title: 'layer' },
    ...[
      'experts',
      'top k',
      'none',
      `under ${count(floor)}`,
      'least',
      'most',
      'sigma',
      'variation',
      'Gini',
      'entropy',
    ].map((title) => ({ title, number: true })),
  ];
  return htmlTable(
    'Experts by layer',
    columns,
    layers.map(({ layer, experts, topK, routed, balance }) => [
      String(layer),
      count(experts),
      count(topK),
      count(routed.filter((tokens) => tokens === 0).length),
      count(routed.filter((tokens) => tokens < floor).length),
      count(Math.min(...routed)),
      count(Math.max(...routed)),
      figure(balance.sigma),
      figure(balance.cv),
      figure(balance.gini),
      figure(balance.entropy),
    ]),
  );
}

function worstTable({ worst }: Coverage, floor: number): string {
  const columns = [
    { title: 'cell' },
    { title: 'routed tokens', number: true },
    { title: 'samples', number: true },
    { title: 'languages that feed it most' },
    { title: 'sources', wrap: true },
  ];
  return htmlTable(
    'Least-fed cells',
    columns,
    worst.map(({ layer, expert, routed, samples, topLanguages, topSources }) => [
      `layer ${layer}, expert ${expert}`,
      routed < floor ? { html: `<span class="low">${count(routed)} (under)</span>` } : count(routed),
      samples === null ? '–' : count(samples),
      topLanguages.map(languageName).join(', ') || 'none',
      topSources.join(', ') || 'none',
    ]),
  );
}

export function fixSection(fixes: FixList): string {
  const additions = htmlTable(
    'Additions that close the gaps',
    [
      { title: 'source' },
      { title: 'language' },
      { title: 'category' },
      ...['sequences', 'tokens', 'cells closed'].map((title) => ({ title, number: true })),
    ],
    fixes.additions.map(({ source, language, category, sequences, tokens, cellsClosed }) => [
      source,
      languageName(language),
      category,
      count(sequences),
      count(tokens),
      count(cellsClosed),
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
  const unfed = fixes.unfed === 0 ? '' : `<p>${plural(fixes.unfed, 'cell')} that nothing in the pool feeds.</p>`;
  const more = fixes.cells.length - shown.length;
  return (
    '<section id="fixes"><h2>What to add</h2>' +
    (fixes.additions.length === 0
      ? ''
      : `<p>About ${count(fixes.tokens)} more tokens close every gap that the pool can close.</p>${additions}`) +
    `${unfed}<details><summary>Cell by cell</summary>${cells}${more === 0 ? '' : `<p>and ${count(more)} more.</p>`}</details>` +
    '<h3>As a change to the recipe</h3><button type="button" id="copy-patch">Copy</button>' +
    `<pre id="recipe-patch" tabindex="0">${escapeLines(fixes.recipePatch)}</pre></section>`
  );
}

/** Escapes line by line: line ends are control characters, and these must stay. */
function escapeLines(text: string): string {
  return text.split('\n').map(escapeHtml).join('\n');
}
