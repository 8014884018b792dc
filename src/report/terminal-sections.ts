import type { Coverage } from '../coverage/coverage.js';
import type { FixList } from '../coverage/fixes.js';
import type { LanguageRow } from '../coverage/verdict.js';
import { CHANNELS, type Channel } from '../mix/sequence.js';
import type { EvaluationResult } from './report-data.js';
import { intervalText, languageGapSentence } from './sentences.js';
import { shorten, tableLines, type Column } from './terminal-table.js';
import { count, figure, languageName, milliNats, percent, plain, plural } from './text.js';

const BAR_WIDTH = 12;
const WORST_SHOWN = 8;

export function languageLines(
  table: readonly LanguageRow[],
  { languages }: Coverage,
  rows: number | null,
  width: number,
): string[] {
  const shown = rows === null ? table : table.slice(0, rows);
  const channels = CHANNELS.filter((channel) =>
    Object.values(languages).some((group) => (group.channels[channel] ?? 0) > 0),
  );
  const floors = table.some(({ floor }) => floor !== null);
  const columns: Column[] = [
    { title: '' },
    { title: 'language' },
    { title: 'tokens', align: 'right' },
    { title: 'share', align: 'right' },
    ...(floors ? [{ title: 'floor', align: 'right' } as const] : []),
    { title: '' },
    { title: 'samples', align: 'right' },
    ...channels.map((title) => ({ title, align: 'right' }) as const),
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
    ...channels.map((channel) => channelCount(languages, row.language, channel)),
  ]);
  const rest = table.slice(shown.length);
  const more = rest.reduce((sum, { tokens }) => sum + tokens, 0);
  return [
    ...tableLines(columns, lines, width),
    ...(rest.length === 0 ? [] : [`and ${plural(rest.length, 'more language')}, ${plural(more, 'token')}`]),
  ];
}

function channelCount(languages: Coverage['languages'], language: string, channel: Channel): string {
  const tokens = Object.hasOwn(languages, language) ? (languages[language]!.channels[channel] ?? 0) : 0;
  return tokens === 0 ? '·' : count(tokens);
}

export function worstLines(coverage: Coverage, width: number): string[] {
  const columns: Column[] = [
    { title: 'layer', align: 'right' },
    { title: 'expert', align: 'right' },
    { title: 'routed', align: 'right' },
    { title: 'samples', align: 'right' },
    { title: 'fed most by' },
  ];
  const rows = coverage.worst
    .slice(0, WORST_SHOWN)
    .map(({ layer, expert, routed, samples, topLanguages }) => [
      String(layer),
      String(expert),
      `${count(routed)}${routed < coverage.floor ? ' !' : ''}`,
      samples === null ? '' : count(samples),
      topLanguages.length === 0 ? 'nothing' : topLanguages.join(', '),
    ]);
  return tableLines(columns, rows, width);
}

export function fixLines(fixes: FixList, rows: number | null, width: number): string[] {
  const columns: Column[] = [
    { title: 'source' },
    { title: 'language' },
    { title: 'category' },
    { title: 'sequences', align: 'right' },
    { title: 'tokens', align: 'right' },
    { title: 'cells closed', align: 'right' },
  ];
  const shown = rows === null ? fixes.additions : fixes.additions.slice(0, rows);
  const lines = shown.map(({ source, language, category, sequences, tokens, cellsClosed }) => [
    shorten(plain(source), Math.min(36, width)),
    language,
    category,
    count(sequences),
    count(tokens),
    count(cellsClosed),
  ]);
  return [
    ...(lines.length === 0 ? [] : tableLines(columns, lines, width)),
    ...fixes.languages.map((gap) => shorten(languageGapSentence(gap), width)),
    ...(fixes.unfed === 0 ? [] : [`${plural(fixes.unfed, 'cell')} that nothing in the pool feeds`]),
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
