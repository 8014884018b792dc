import { join } from 'node:path';
import type { BuiltMix } from '../mix/build.js';
import type { BuildManifest } from '../mix/manifest.js';
import { MANIFEST_FILE, PARQUET_FILE, REMARKS_FILE } from '../mix/write.js';
import { CHANNELS } from '../text/channel.js';

/** What became of every source's rows, and of tokens on their way into the mix. */
export function describeMix({ manifest, sequences, remarks }: BuiltMix, folder: string): string {
  return [
    `Mix: ${sequences.length} sequences, ${count(manifest.tokens)} tokens`,
    ...manifest.sources.map(sourceLine),
    ...stageLines(manifest),
    lengthLine(manifest),
    ...languageLines(manifest),
    ...(manifest.uncompared === 0 ? [] : [`${count(manifest.uncompared)} rows were not compared with later ones`]),
    `Written to ${join(folder, PARQUET_FILE)}; how it came about: ${MANIFEST_FILE}` +
      (remarks.length === 0 ? '' : `, row by row: ${REMARKS_FILE}`),
  ].join('\n');
}

function sourceLine({
  source,
  wanted,
  read,
  kept,
  tokens,
  dropped,
  flaws = {},
}: BuildManifest['sources'][number]): string {
  const asked = wanted === 'all' || wanted === null ? '' : ` of ${wanted} wanted`;
  return [
    `  ${source}: ${kept} of ${read} rows kept${asked}, ${count(tokens)} tokens`,
    listed('dropped', dropped),
    listed('kept all the same', flaws),
  ]
    .filter((part) => part !== '')
    .join('; ');
}

function listed(what: string, counts: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(counts).filter(([, rows]) => rows > 0);
  return reasons.length === 0 ? '' : `${what}: ${reasons.map(([reason, rows]) => `${rows} ${reason}`).join(', ')}`;
}

/** Tokens by channel as rows hold them, as the template prints them, as windows keep them: templates drop more than one thinks. */
function stageLines({ stages }: BuildManifest): string[] {
  const channels = CHANNELS.filter((channel) => stages.raw[channel] > 0 || stages.rendered[channel] > 0);
  const table = [
    ['Tokens read', ...channels],
    ['  in the rows', ...channels.map((channel) => count(stages.raw[channel]))],
    ['  rendered', ...channels.map((channel) => count(stages.rendered[channel]))],
    ['  in windows', ...channels.map((channel) => count(stages.kept[channel]))],
  ];
  const widths = [13, ...channels.map((_, index) => Math.max(...table.map((row) => row[index + 1]?.length ?? 0)))];
  return table.map((row) =>
    row.map((cell, index) => (index === 0 ? cell.padEnd(13) : cell.padStart(widths[index] ?? 0))).join('  '),
  );
}

function lengthLine({ lengths, settings }: BuildManifest): string {
  const { overflowCost: cost } = lengths;
  return (
    `Rows of ${count(lengths.p10)} to ${count(lengths.p90)} tokens (p10, p90), the longest ${count(lengths.max)}; ` +
    `${count(lengths.overLength)} over ${count(settings.sequenceLength)} (overflow: ${settings.overflow}; ` +
    `truncate loses ${count(cost.truncate)} tokens, drop ${count(cost.drop)}; AutoAWQ would drop ${count(lengths.droppedByAutoAwq)} rows)`
  );
}

/** Rows in another language than they declare, by pairs. */
function languageLines({ identification, foreignReasoning, foreignMessages }: BuildManifest): string[] {
  const pairs = Object.entries(identification).flatMap(([declared, found]) =>
    Object.entries(found)
      .filter(([identified]) => declared !== 'und' && identified !== 'und' && identified !== declared)
      .map(([identified, rows]) => ({ pair: `${declared} as ${identified}`, rows })),
  );
  const shown = pairs.sort((a, b) => b.rows - a.rows).slice(0, MOST_PAIRS);
  return [
    ...(pairs.length === 0
      ? []
      : [`Declared and identified otherwise: ${shown.map(({ pair, rows }) => `${pair} ${count(rows)}`).join(', ')}`]),
    ...(foreignReasoning === 0
      ? []
      : [`Reasoning in another language than the row's: ${count(foreignReasoning)} rows`]),
    ...(foreignMessages === 0 ? [] : [`A message in another language than the row's: ${count(foreignMessages)} rows`]),
  ];
}

const MOST_PAIRS = 8;

function count(value: number): string {
  return value.toLocaleString('en-US');
}
