import type { Coverage } from '../coverage/coverage.js';
import { languageTable } from '../coverage/verdict.js';
import { CHANNELS } from '../mix/sequence.js';
import { escapeHtml, htmlTable, type HtmlCell } from './html-escape.js';
import type { ReportData } from './report-data.js';
import { subjectSentence } from './sentences.js';
import { adviceSentence, verdictSentence } from './verdict-sentences.js';
import { count, languageName, percent } from './text.js';

export function verdictBlock(data: ReportData): string {
  const { coverage } = data;
  const { verdict, summary, layers, worst } = coverage;
  const advice = adviceSentence(data);
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
