import type { Coverage } from '../coverage/coverage.js';
import { channelTable, languageTable, type ChannelRow } from '../coverage/verdict.js';
import { channelIndex, type Channel } from '../text/channel.js';
import { escapeHtml, htmlTable, type HtmlCell } from './html-escape.js';
import type { ReportData } from './report-data.js';
import { estimateSentence, subjectSentence } from './sentences.js';
import { adviceOf, verdictSentence } from './verdict-sentences.js';
import { count, languageName, percent } from './text.js';

export function verdictBlock(data: ReportData): string {
  const { coverage } = data;
  const advice = adviceOf(data).map(({ label, text }) => `<dt>${label}</dt><dd>${escapeHtml(text)}</dd>`);
  const notes = [estimateSentence(coverage), coverage.layers.length === 0 ? null : CELL].filter(
    (note) => note !== null,
  );
  const { kind, badge, sentence } = verdictOf(data);
  return (
    `<div class="verdict ${kind}"><p class="sentence"><span class="badge">${badge}</span> ${escapeHtml(sentence)}</p>` +
    `${advice.length === 0 ? '' : `<dl class="advice">${advice.join('')}</dl>`}</div>` +
    `<p class="subject">${escapeHtml([`${subjectSentence(coverage)}.`, ...notes].join(' '))}</p>` +
    `<dl class="figures">${figuresOf(coverage)
      .map(([term, value]) => `<div><dt>${escapeHtml(term)}</dt><dd>${value}</dd></div>`)
      .join('')}</dl>`
  );
}

const CELL = 'A cell is one expert of one layer.';

function verdictOf({ coverage, isUncounted = false }: ReportData): {
  readonly kind: string;
  readonly badge: string;
  readonly sentence: string;
} {
  if (coverage.verdict === 'fail') return { kind: 'fail', badge: '✕ FAIL', sentence: verdictSentence(coverage) };
  if (!isUncounted) return { kind: 'pass', badge: '✓ PASS', sentence: verdictSentence(coverage) };
  return {
    kind: 'none',
    badge: '– NOT AUDITED',
    sentence: 'No model saw this mix: what each expert gets of it is not known. evenkeel audit counts it.',
  };
}

function figuresOf({ summary, layers, worst, imported, ...coverage }: Coverage): [string, string][] {
  const known = imported === undefined;
  const languages = Object.keys(coverage.languages).length;
  return [
    ...(layers.length === 0
      ? []
      : ([
          [`of ${count(summary.cells)} cells under the floor of ${count(coverage.floor)}`, count(summary.underFloor)],
          ['routed tokens in the least-fed cell', count(worst[0]!.routed)],
          ['routed tokens in the median cell', count(summary.median)],
        ] as [string, string][])),
    ...(coverage.tokens === 0 ? [] : ([['tokens', count(coverage.tokens)]] as [string, string][])),
    ...(known
      ? ([
          [coverage.samples === 1 ? 'sample' : 'samples', count(coverage.samples)],
          [languages === 1 ? 'language' : 'languages', count(languages)],
        ] as [string, string][])
      : []),
  ];
}

export function languageSection(coverage: Coverage): string {
  const table = languageTable(coverage);
  const channels = channelTable(coverage);
  const color = (channel: Channel): string => `background:var(--channel-${channelIndex(channel)})`;
  const floors = table.some(({ floor }) => floor !== null);
  const most = Math.max(1, ...table.map(({ tokens }) => tokens));
  const keys = channels.map(({ channel }) => `<span><i style="${color(channel)}"></i>${channel}</span>`);
  const numbers = [
    'tokens',
    'share',
    ...(floors ? ['floor'] : []),
    'samples',
    ...channels.map(({ channel }) => channel),
  ];
  const columns = [{ title: 'language' }, { title: '' }, ...numbers.map((title) => ({ title, number: true }))];
  const rows = table.map((row): HtmlCell[] => {
    const own = Object.hasOwn(coverage.languages, row.language) ? coverage.languages[row.language]!.channels : {};
    const segments = channels.flatMap(({ channel }) =>
      own[channel] === undefined
        ? []
        : `<i style="${color(channel)};width:${((own[channel] / most) * 100).toFixed(2)}%"></i>`,
    );
    const floor = row.floor === null ? '' : count(row.floor);
    return [
      { html: `${escapeHtml(languageName(row.language))} <span class="tag">${escapeHtml(row.language)}</span>` },
      { html: `<div class="bar" aria-hidden="true">${segments.join('')}</div>` },
      row.underFloor ? { html: `<span class="low">${count(row.tokens)} (under)</span>` } : count(row.tokens),
      percent(row.share),
      ...(floors ? [floor] : []),
      count(row.samples),
      ...channels.map(({ channel }) => count(own[channel] ?? 0)),
    ];
  });
  const all: HtmlCell[] = [
    'All languages',
    '',
    count(coverage.tokens),
    percent(1),
    ...(floors ? [''] : []),
    count(coverage.samples),
    ...channels.map(channelSum),
  ];
  const { lengths, lengthFloor } = coverage;
  const short =
    lengthFloor === null || lengths.median >= lengthFloor
      ? ''
      : ` <span class="low">(under the floor of ${count(lengthFloor)})</span>`;
  return (
    `<section id="languages"><h2>Tokens by language and channel</h2><div class="legend keys">${keys.join('')}</div>` +
    htmlTable('Tokens by language and channel', columns, [
      ...rows,
      ...(table.length > 1 || channels.some(({ floor }) => floor !== null) ? [all] : []),
    ]) +
    `<p class="tag">Sequences are ${count(lengths.min)} to ${count(lengths.max)} tokens long, ` +
    `${count(lengths.median)} in the middle${short}.</p></section>`
  );
}

function channelSum({ tokens, floor, underFloor }: ChannelRow): HtmlCell {
  return underFloor
    ? { html: `<span class="low">${count(tokens)} (under ${count(floor ?? 0)})</span>` }
    : count(tokens);
}
