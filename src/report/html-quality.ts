import type { MixManifest } from '../mix/sequence.js';
import { mapFigure } from './html-experts.js';
import { intervalChart } from './html-charts.js';
import { escapeHtml, htmlTable, type HtmlCell } from './html-escape.js';
import type { EdgeResult, EvaluationResult, QuantizationResult } from './report-data.js';
import { evaluationSentence, intervalText, smoothingSentence } from './sentences.js';
import { count, figure, languageName, milliNats, percent } from './text.js';
import { unroutedSentence } from './unrouted.js';

/** Edges listed; a model with hundreds of experts has tens of thousands, of which the costliest tell most. */
const EDGES_SHOWN = 300;

export function quantizationSection({ scheme, format, edges, cells, languageErrors }: QuantizationResult): string {
  const shown = edges.length <= EDGES_SHOWN ? edges : edges.toSorted((a, b) => b.loss - a.loss).slice(0, EDGES_SHOWN);
  const part = shown.length < edges.length ? ` The ${count(shown.length)} costliest are listed.` : '';
  const unrouted = unroutedSentence(cells);
  return (
    `<section id="quantization"><h2>Quantized to ${escapeHtml(scheme)}</h2>` +
    `<p>Written as ${escapeHtml(format)}. ${escapeHtml(smoothingSentence(edges))}${part}</p>` +
    (unrouted === null ? '' : `<p>${escapeHtml(unrouted)}</p>`) +
    (languageErrors === null
      ? ''
      : '<h3>Which language lost how much, and where</h3><p>Relative error of each layer’s output, by language.</p>' +
        mapFigure('error-map', 'Heat map of languages by layers') +
        `<details><summary>The same as a table</summary>${languageErrorTable(languageErrors)}</details>`) +
    `<details><summary>Smoothing edges</summary>${edgeTable(shown)}</details></section>`
  );
}

function languageErrorTable({
  languages,
  layers,
  relativeError,
}: NonNullable<QuantizationResult['languageErrors']>): string {
  const columns = [{ title: 'language' }, ...layers.map((layer) => ({ title: `layer ${layer}`, number: true }))];
  const rows = languages.map((tag, i) => [languageName(tag), ...layers.map((_, l) => percent(relativeError[i]![l]!))]);
  return htmlTable('Relative output error by language and layer', columns, rows);
}

function edgeTable(edges: readonly EdgeResult[]): string {
  return htmlTable(
    'Smoothing edges',
    [{ title: 'edge' }, ...['ratio', 'loss before', 'loss after', 'change'].map((title) => ({ title, number: true }))],
    edges.map(({ name, ratio, lossBefore, loss }) => [
      name,
      ratio === null ? 'none' : ratio.toFixed(2),
      figure(lossBefore),
      figure(loss),
      lossBefore > 0 ? percent(loss / lossBefore - 1) : '–',
    ]),
  );
}

export function evaluationSection(evaluation: EvaluationResult, baseline: EvaluationResult | undefined): string {
  const nearestOf = (name: string): number | null =>
    baseline !== undefined && Object.hasOwn(baseline.groups, name) ? baseline.groups[name]!.kl : null;
  const groups = Object.entries(evaluation.groups).sort(([, a], [, b]) => b.kl - a.kl);
  const most = Math.max(0, ...groups.flatMap(([name, { kl, klCi95 }]) => [kl, klCi95[1], nearestOf(name) ?? 0]));
  const columns = [
    { title: 'text' },
    { title: '' },
    ...[
      'KL, 10⁻³ nats',
      '95 % interval',
      ...(baseline === undefined ? [] : ['round to nearest']),
      'perplexity',
      'quantized',
      'same top-1',
      'tokens',
    ].map((title) => ({ title, number: true })),
  ];
  const rows = groups.map(([name, group]): HtmlCell[] => {
    const nearest = nearestOf(name);
    const own = milliNats(group.kl);
    return [
      { html: `${escapeHtml(languageName(name))} <span class="tag">${escapeHtml(name)}</span>` },
      { html: intervalChart(group.kl, group.klCi95, nearest, most) },
      nearest !== null && group.kl > nearest ? { html: `<span class="low">${own} (worse)</span>` } : own,
      intervalText(group),
      ...(baseline === undefined ? [] : [nearest === null ? '–' : milliNats(nearest)]),
      figure(group.perplexity),
      figure(group.quantizedPerplexity),
      percent(group.top1),
      count(group.tokens),
    ];
  });
  const keys =
    '<div class="legend keys"><span><i style="background:var(--accent)"></i>this quantization, with its interval</span>' +
    (baseline === undefined
      ? ''
      : '<span><i style="border:2px solid var(--faint);border-radius:50%"></i>round to nearest</span>') +
    '</div>';
  return (
    `<section id="quality"><h2>Quality on held-out text</h2><p>${escapeHtml(evaluationSentence(evaluation, baseline))}</p>` +
    `${keys}${htmlTable('Divergence by language', columns, rows)}</section>`
  );
}

export function provenanceSection(manifest: MixManifest | undefined): string {
  if (manifest === undefined) {
    return (
      '<section id="provenance"><h2>Provenance</h2><p>The audited file came without a manifest: where its rows are from ' +
      'is not known.</p></section>'
    );
  }
  const { sources, tokenizer, chatTemplate } = manifest;
  const columns = [
    { title: 'source' },
    { title: 'revision' },
    { title: 'licence' },
    ...['rows read', 'kept', 'tokens'].map((title) => ({ title, number: true })),
    { title: 'dropped', wrap: true },
  ];
  const rows = sources.map(({ source, revision, license, read, kept, tokens, dropped }) => [
    source,
    revision ?? '–',
    license ?? 'not stated',
    count(read),
    count(kept),
    count(tokens),
    Object.entries(dropped)
      .map(([reason, n]) => `${reason} ${count(n)}`)
      .join(', ') || 'none',
  ]);
  return (
    `<section id="provenance"><h2>Provenance</h2>${htmlTable('Sources of the mix', columns, rows)}` +
    `<p>Evenkeel ${escapeHtml(manifest.version)}, seed ${count(manifest.seed)}; tokenizer ${escapeHtml(tokenizer.kind)}, sha256 ` +
    `<code>${escapeHtml(tokenizer.sha256.slice(0, 16))}</code>; chat template ` +
    `${chatTemplate === null ? 'none' : `sha256 <code>${escapeHtml(chatTemplate.sha256.slice(0, 16))}</code>`}.</p></section>`
  );
}
