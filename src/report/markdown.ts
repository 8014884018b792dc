import { channelTable, languageTable } from '../coverage/verdict.js';
import { balanceSentences } from './balance-sentences.js';
import type { ReportData } from './report-data.js';
import {
  balanceSentence,
  estimateSentence,
  evaluationSentence,
  fragileSentence,
  intervalText,
  languageGapSentence,
  saturationSentence,
  stabilitySentence,
  subjectSentence,
} from './sentences.js';
import { count, figure, languageName, milliNats, percent, plain, plural } from './text.js';
import { adviceOf, verdictSentence } from './verdict-sentences.js';

/** The report for a model card: GitHub-flavoured Markdown, no HTML, headings from level two. */
export function renderMarkdown(data: ReportData): string {
  const { coverage, evaluation, baselineEvaluation, fixes } = data;
  const { layers, model } = coverage;
  const blocks = [
    '## Calibration',
    `**${coverage.verdict === 'pass' ? 'Pass' : 'Fail'}.** ${escapeMarkdown(verdictSentence(coverage))}`,
    ...adviceMarkdown(data),
    `${escapeMarkdown(subjectSentence(coverage))}. Model: ${code(model.architecture)}. ` +
      'Only natural routing counts, never padding or forced tokens.',
    ...(Object.keys(coverage.languages).length === 0 ? [] : ['### Tokens by language', languageMarkdown(coverage)]),
    ...(layers.length === 0 ? [] : ['### Experts', cellSummary(data), layerTable(coverage)]),
    ...(fixes === undefined || fixes.cells.length + fixes.languages.length === 0
      ? []
      : ['### What would close the gaps', fixTable(fixes)]),
    ...(evaluation === undefined
      ? []
      : [
          '### Divergence by language',
          escapeMarkdown(evaluationSentence(evaluation, baselineEvaluation)),
          evaluationTable(evaluation, baselineEvaluation),
        ]),
    ...(data.manifest === undefined ? [] : ['### Sources', sourceTable(data.manifest)]),
  ];
  return `${blocks.join('\n\n')}\n`;
}

function adviceMarkdown(data: ReportData): string[] {
  const lines = adviceOf(data).map(({ label, text }) => `- ${label}: ${escapeMarkdown(text)}`);
  return lines.length === 0 ? [] : [lines.join('\n')];
}

function languageMarkdown(coverage: ReportData['coverage']): string {
  const table = languageTable(coverage);
  const channels = channelTable(coverage);
  const floors = table.some(({ floor }) => floor !== null);
  const rows = table.map((row) => {
    const own = Object.hasOwn(coverage.languages, row.language) ? coverage.languages[row.language]!.channels : {};
    return [
      row.language,
      languageName(row.language),
      count(row.samples),
      count(row.tokens),
      percent(row.share),
      ...(floors ? [row.floor === null ? '' : `${count(row.floor)}${row.underFloor ? ' (under)' : ''}`] : []),
      ...channels.map(({ channel }) => count(own[channel] ?? 0)),
    ];
  });
  const sums = channels.map(
    ({ tokens, floor, underFloor }) => count(tokens) + (underFloor ? ` (under ${count(floor!)})` : ''),
  );
  const all = [
    '',
    'all',
    count(coverage.samples),
    count(coverage.tokens),
    percent(1),
    ...(floors ? [''] : []),
    ...sums,
  ];
  const titles = ['language', '', 'samples', 'tokens', 'share', ...(floors ? ['floor'] : [])];
  return markdownTable([...titles, ...channels.map(({ channel }) => channel)], [...rows, all], 2);
}

function cellSummary({ coverage, stability, balance }: ReportData): string {
  return [
    estimateSentence(coverage),
    ...(balance === undefined ? [] : balanceSentences(balance)),
    balanceSentence(coverage),
    fragileSentence(coverage),
    saturationSentence(coverage),
    stability === undefined ? null : stabilitySentence(stability),
  ]
    .filter((sentence) => sentence !== null)
    .map((sentence) => `- ${sentence}`)
    .join('\n');
}

function layerTable({ layers, floor }: ReportData['coverage']): string {
  return markdownTable(
    ['layer', 'experts', 'top k', `under ${count(floor)}`, 'least', 'most', 'sigma', 'Gini', 'entropy'],
    layers.map(({ layer, experts, topK, routed, balance }) => [
      String(layer),
      count(experts),
      count(topK),
      count(routed.filter((tokens) => tokens < floor).length),
      count(Math.min(...routed)),
      count(Math.max(...routed)),
      figure(balance.sigma),
      figure(balance.gini),
      figure(balance.entropy),
    ]),
    0,
  );
}

function fixTable({ additions, unfed, languages }: NonNullable<ReportData['fixes']>): string {
  const table = markdownTable(
    ['source', 'language', 'category', 'sequences', 'tokens', 'cells closed'],
    additions.map(({ source, language, category, sequences, tokens, cellsClosed }) => [
      source,
      languageName(language),
      category,
      count(sequences),
      count(tokens),
      count(cellsClosed),
    ]),
    3,
  );
  const notes = [
    ...languages.map(languageGapSentence),
    ...(unfed === 0 ? [] : [`${plural(unfed, 'cell')} that nothing in the pool feeds.`]),
  ];
  return [...(additions.length === 0 ? [] : [table]), ...notes.map(escapeMarkdown)].join('\n\n');
}

function evaluationTable(
  { groups, mean }: NonNullable<ReportData['evaluation']>,
  baseline: ReportData['baselineEvaluation'],
): string {
  const nearest = (name: string): string =>
    baseline !== undefined && Object.hasOwn(baseline.groups, name) ? milliNats(baseline.groups[name]!.kl) : '';
  const rows = Object.entries(groups).map(([name, group]) => [
    name,
    milliNats(group.kl),
    intervalText(group),
    ...(baseline === undefined ? [] : [nearest(name)]),
    figure(group.perplexity),
    figure(group.quantizedPerplexity),
    percent(group.top1),
    count(group.tokens),
  ]);
  const average = ['mean', milliNats(mean.kl), '', ...(baseline === undefined ? [] : [milliNats(baseline.mean.kl)])];
  return markdownTable(
    [
      'group',
      'KL, 10⁻³ nats',
      '95 % interval',
      ...(baseline === undefined ? [] : ['round to nearest']),
      'perplexity',
      'quantized',
      'same top-1',
      'tokens',
    ],
    [...rows, average],
    1,
  );
}

function sourceTable({ sources }: NonNullable<ReportData['manifest']>): string {
  return markdownTable(
    ['source', 'revision', 'licence', 'rows read', 'kept', 'tokens'],
    sources.map(({ source, revision, license, read, kept, tokens }) => [
      source,
      revision ?? '',
      license ?? 'not stated',
      count(read),
      count(kept),
      count(tokens),
    ]),
    3,
  );
}

/** @param textColumns columns aligned left; the rest are numbers */
function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[], textColumns: number): string {
  const rule = `| ${titles.map((_, c) => (c < textColumns ? '---' : '---:')).join(' | ')} |`;
  const padded = rows.map((row) => titles.map((_, c) => row[c] ?? ''));
  return [tableRow(titles), rule, ...padded.map(tableRow)].join('\n');
}

function tableRow(cells: readonly string[]): string {
  return `| ${cells.map(escapeMarkdown).join(' | ')} |`;
}

/** Names come from data sets: no markup of theirs gets through. */
export function escapeMarkdown(text: string): string {
  return plain(text).replace(/[\\`*_{}[\]<>#|~!&]/g, '\\$&');
}

function code(text: string): string {
  return `\`${plain(text).replaceAll('`', "'")}\``;
}
