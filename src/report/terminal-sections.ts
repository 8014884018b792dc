import type { Coverage } from '../coverage/coverage.js';
import type { FixList } from '../coverage/fixes.js';
import { channelTable, type LanguageRow } from '../coverage/verdict.js';
import type { Channel } from '../mix/sequence.js';
import type { EvaluationResult } from './report-data.js';
import { intervalText, languageGapSentence } from './sentences.js';
import { shorten, tableLines, type Column } from './terminal-table.js';
import { count, figure, languageName, milliNats, percent, plain, plural } from './text.js';

const BAR_WIDTH = 12;
const WORST_SHOWN = 8;

export function languageLines(
  table: readonly LanguageRow[],
  coverage: Coverage,
  rows: number | null,
  width: number,
): string[] {
  const { languages, tokens, samples } = coverage;
  const shown = rows === null ? table : table.slice(0, rows);
  const channels = channelTable(coverage);
  const floors = table.some(({ floor }) => floor !== null);
  const columns: Column[] = [
    { title: '' },
    { title: 'language' },
    { title: 'tokens', align: 'right' },
    { title: 'share', align: 'right', optional: 1 },
    ...(floors ? [{ title: 'floor', align: 'right' } as const] : []),
    { title: '', optional: 3 },
    { title: 'samples', align: 'right', optional: 2 },
    ...channels.map(({ channel }) => ({ title: channel, align: 'right' }) as const),
  ];
  const largest = Math.max(0, ...table.map(({ share }) => share));
  const lines = shown.map((row) => [
    row.language,
    shorten(languageName(row.language), 22),
    count(row.tokens),
    percent(row.share),
    ...(floors ? [row.floor === null ? '' : `${count(row.floor)}${row.underFloor ? ' !' : ''}`] : []),
    '■'.repeat(Math.ceil((row.share / Math.max(largest, Number.EPSILON)) * BAR_WIDTH)),
    count(row.samples),
    ...channels.map(({ channel }) => channelCount(languages, row.language, channel)),
  ]);
  const rest = table.slice(shown.length);
  const more = rest.reduce((sum, row) => sum + row.tokens, 0);
  if (rest.length > 0) lines.push(['…', plural(rest.length, 'more language'), count(more), percent(more / tokens)]);
  const sums = channels.map((row) => `${count(row.tokens)}${row.underFloor ? ' !' : ''}`);
  if (table.length > 1 || channels.some(({ floor }) => floor !== null)) {
    lines.push(['', 'all', count(tokens), percent(1), ...(floors ? [''] : []), '', count(samples), ...sums]);
  }
  const least = channels.map(({ floor }) => (floor === null ? '' : count(floor)));
  if (channels.some(({ floor }) => floor !== null)) {
    lines.push(['', 'floor of a channel', '', '', ...(floors ? [''] : []), '', '', ...least]);
  }
  return tableLines(columns, lines, width);
}

function channelCount(languages: Coverage['languages'], language: string, channel: Channel): string {
  const tokens = Object.hasOwn(languages, language) ? (languages[language]!.channels[channel] ?? 0) : 0;
  return tokens === 0 ? '·' : count(tokens);
}

export function worstLines(coverage: Coverage, width: number): string[] {
  const { worst, floor, languages } = coverage;
  const isKnown = Object.keys(languages).length > 0;
  const hasSamples = worst.some(({ samples }) => samples !== null);
  const columns: Column[] = [
    { title: 'layer', align: 'right' },
    { title: 'expert', align: 'right' },
    { title: 'routed', align: 'right' },
    ...(hasSamples ? [{ title: 'samples', align: 'right' } as const] : []),
    ...(isKnown ? [{ title: 'fed most by' }] : []),
  ];
  const rows = worst
    .slice(0, WORST_SHOWN)
    .map(({ layer, expert, routed, samples, topLanguages }) => [
      String(layer),
      String(expert),
      `${count(routed)}${routed < floor ? ' !' : ''}`,
      ...(hasSamples ? [samples === null ? '' : count(samples)] : []),
      ...(isKnown ? [topLanguages.map(languageName).join(', ') || 'nothing'] : []),
    ]);
  return tableLines(columns, rows, width);
}

export function fixLines(fixes: FixList, rows: number | null, width: number): string[] {
  const columns: Column[] = [
    { title: 'language' },
    { title: 'tokens', align: 'right' },
    { title: 'cells closed', align: 'right' },
    { title: 'sequences', align: 'right', optional: 2 },
    { title: 'category', optional: 1 },
    { title: 'source' },
  ];
  const { additions } = fixes;
  const shown = rows === null ? additions : additions.slice(0, rows);
  const lines = shown.map(({ source, language, category, sequences, tokens, cellsClosed }) => [
    shorten(languageName(language), 22),
    count(tokens),
    count(cellsClosed),
    count(sequences),
    category,
    shorten(plain(source), 36),
  ]);
  const rest = additions.slice(shown.length);
  const sum = (list: typeof additions, of: 'tokens' | 'cellsClosed' | 'sequences'): string =>
    count(list.reduce((total, addition) => total + addition[of], 0));
  if (rest.length > 0) {
    lines.push([`${count(rest.length)} more`, sum(rest, 'tokens'), sum(rest, 'cellsClosed'), sum(rest, 'sequences')]);
  }
  if (additions.length > 1) {
    lines.push(['all', sum(additions, 'tokens'), sum(additions, 'cellsClosed'), sum(additions, 'sequences')]);
  }
  return [
    ...(lines.length === 0 ? [] : tableLines(columns, lines, width)),
    ...fixes.languages.map((gap) => shorten(languageGapSentence(gap), width)),
    ...(fixes.unfed === 0 ? [] : [`${plural(fixes.unfed, 'cell')} that nothing in the pool feeds`]),
    ...(fixes.refused === 0
      ? []
      : [`${plural(fixes.refused, 'sequence')} of the pool loop or copy another: not suggested`]),
  ];
}

export function evaluationLines(
  { groups, mean }: EvaluationResult,
  baseline: EvaluationResult | undefined,
  rows: number | null,
  width: number,
): string[] {
  const columns: Column[] = [
    { title: '' },
    { title: 'KL ×10⁻³', align: 'right' },
    { title: '95 % interval', align: 'right' },
    ...(baseline === undefined ? [] : [{ title: 'nearest', align: 'right' } as const]),
    { title: 'perplexity', align: 'right' },
    { title: 'quantized', align: 'right' },
    { title: 'same top-1', align: 'right' },
    { title: 'tokens', align: 'right' },
  ];
  const names = Object.keys(groups).toSorted((a, b) => groups[b]!.kl - groups[a]!.kl);
  const shown = rows === null ? names : names.slice(0, rows);
  const nearest = (name: string): string[] =>
    baseline === undefined ? [] : [Object.hasOwn(baseline.groups, name) ? milliNats(baseline.groups[name]!.kl) : ''];
  const lines = shown.map((name) => {
    const group = groups[name]!;
    const { kl, perplexity, quantizedPerplexity, top1, tokens } = group;
    return [
      name,
      milliNats(kl),
      intervalText(group),
      ...nearest(name),
      figure(perplexity),
      figure(quantizedPerplexity),
      percent(top1),
      count(tokens),
    ];
  });
  lines.push(['mean', milliNats(mean.kl), '', ...(baseline === undefined ? [] : [milliNats(baseline.mean.kl)])]);
  const rest = names.length - shown.length;
  return [...tableLines(columns, lines, width), ...(rest === 0 ? [] : [`and ${count(rest)} more with a lower KL`])];
}
