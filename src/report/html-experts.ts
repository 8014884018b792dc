import type { Coverage } from '../coverage/coverage.js';
import { cellMetrics } from './cell-metrics.js';
import { saturationChart } from './html-charts.js';
import { escapeHtml, htmlTable } from './html-escape.js';
import type { ReportData } from './report-data.js';
import { balanceSentence, fragileSentence, saturationSentence, stabilitySentence } from './sentences.js';
import { count, figure, languageName } from './text.js';

/** With more experts than this, a layer's profile tells more than the experts' places. */
const SORTED_FROM = 64;

export function expertSection(data: ReportData): string {
  const { coverage } = data;
  const { layers, languages } = coverage;
  const metrics = cellMetrics(data);
  const byTokens = Object.keys(languages).sort((a, b) => languages[b]!.tokens - languages[a]!.tokens);
  const options =
    `<optgroup label="All text">${metrics.map(({ label }, i) => `<option value="metric:${i}">${label}</option>`).join('')}</optgroup>` +
    (byTokens.length === 0
      ? ''
      : `<optgroup label="Routed tokens of one language">${byTokens
          .map((tag, i) => `<option value="language:${i}">${escapeHtml(languageName(tag))}</option>`)
          .join('')}</optgroup>`);
  const most = Math.max(...layers.map(({ experts }) => experts));
  const fragile = fragileSentence(coverage);
  const layerOptions = layers.map(({ layer }, l) => `<option value="${l}">layer ${layer}</option>`).join('');
  return (
    '<section id="experts"><h2>Which experts the text reaches</h2>' +
    '<p>Every square is one expert of one layer. Only the router’s own choices count.</p>' +
    '<div class="controls"><label>Show <select id="cell-metric">' +
    `${options}</select></label><label><input type="checkbox" id="cell-sort"${most > SORTED_FROM ? ' checked' : ''}> ` +
    'Most-fed experts first</label><button type="button" id="next-under" hidden>Next cell under the floor</button></div>' +
    mapFigure('cell-map', 'Heat map of layers by experts') +
    `<details><summary>The same by layer, as a table</summary>${layerTable(coverage)}</details>` +
    `<p>${escapeHtml(balanceSentence(coverage))}.</p>${fragile === null ? '' : `<p>${escapeHtml(fragile)}</p>`}` +
    (byTokens.length === 0
      ? ''
      : '<h3>Which language feeds which expert</h3>' +
        `<div class="controls"><label>In <select id="language-layer">${layerOptions}</select></label></div>` +
        mapFigure('language-map', 'Heat map of languages by experts of one layer')) +
    '</section>'
  );
}

export function weaknessSection({ coverage, stability }: ReportData): string {
  const { saturation, floor } = coverage;
  const curve =
    saturation === null || saturation.points.length < 2
      ? ''
      : `<figure>${saturationChart(saturation, coverage.summary.cells)}</figure>`;
  return (
    '<section id="saturation"><h2>Would more of the same help?</h2>' +
    `<p>${escapeHtml(saturationSentence(coverage))}</p>${curve}` +
    `${stability === undefined ? '' : `<p>${escapeHtml(stabilitySentence(stability))}</p>`}</section>` +
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

function worstTable({ worst, languages }: Coverage, floor: number): string {
  const hasSamples = worst.some(({ samples }) => samples !== null);
  const isKnown = Object.keys(languages).length > 0;
  const columns = [
    { title: 'cell' },
    { title: 'routed tokens', number: true },
    ...(hasSamples ? [{ title: 'samples', number: true }] : []),
    ...(isKnown ? [{ title: 'languages that feed it most' }, { title: 'sources', wrap: true }] : []),
  ];
  return htmlTable(
    'Least-fed cells',
    columns,
    worst.map(({ layer, expert, routed, samples, topLanguages, topSources }) => [
      `layer ${layer}, expert ${expert}`,
      routed < floor ? { html: `<span class="low">${count(routed)} (under)</span>` } : count(routed),
      ...(hasSamples ? [samples === null ? '–' : count(samples)] : []),
      ...(isKnown ? [topLanguages.map(languageName).join(', ') || 'none', topSources.join(', ') || 'none'] : []),
    ]),
  );
}
