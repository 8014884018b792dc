/**
 * Writes the token tables into the cards, datasets/<set>/README.md, between their markers. `--check` writes nothing and
 * fails when a table is out of date.
 *
 *     npx tsx datasets/card-tables.ts [--check]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSource } from '../src/data/read-source.js';
import type { Message, Sample } from '../src/data/sample.js';
import { addCounts, CHANNELS, zeroChannels, type Channel } from '../src/text/channel.js';
import { canonicalLanguage, languageName } from '../src/text/language-tag.js';
import { loadTokenizer } from '../src/text/load-tokenizer.js';
import type { Tokenizer } from '../src/text/tokenizer.js';
import { SETS } from './row-source.js';

const folder = fileURLToPath(new URL('.', import.meta.url));
const check = process.argv.includes('--check');
const TOKENIZERS: readonly Tokenizer[] = await Promise.all([
  loadTokenizer(join(folder, '../test/models/polyglot-moe-18m')),
  loadTokenizer({ encoding: 'o200k_base' }),
  loadTokenizer({ encoding: 'cl100k_base' }),
]);
const BEGIN = '<!-- token tables: made by datasets/card-tables.ts -->';
const END = '<!-- end of token tables -->';

type Counts = Record<Channel, number>;
interface LanguageCounts {
  rows: number;
  readonly tokens: readonly Counts[];
}

for (const set of Object.keys(SETS)) {
  const path = join(folder, set, 'README.md');
  if (!existsSync(path)) continue;
  const card = readFileSync(path, 'utf8');
  const [before, rest] = card.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`Cannot update "${path}": it has no table markers`);
  const updated = `${before}${BEGIN}\n\n${await tableOf(set)}\n${END}${after}`;
  if (updated === card) continue;
  if (check) {
    console.error(`${path}: out of date; run \`npx tsx datasets/card-tables.ts\``);
    process.exitCode = 1;
  } else writeFileSync(path, updated);
}

async function tableOf(set: string): Promise<string> {
  const byLanguage = new Map<string, LanguageCounts>();
  const all = emptyCounts();
  for await (const sample of readSource({ dataset: `builtin:${set}` }, { seed: 0 })) {
    const name = languageName(canonicalLanguage(sample.language ?? 'und'));
    const own = byLanguage.get(name) ?? emptyCounts();
    byLanguage.set(name, own);
    for (const counts of [own, all]) counts.rows++;
    for (const [index, tokenizer] of TOKENIZERS.entries()) {
      const counts = countTokens(sample, tokenizer);
      for (const { tokens } of [own, all]) addCounts(tokens[index] ?? zeroChannels(), counts);
    }
  }
  const channels = CHANNELS.filter((channel) => all.tokens.some((counts) => counts[channel] > 0));
  const line = (name: string, { rows, tokens }: LanguageCounts) =>
    `| ${[name, rows, ...channels.map((channel) => cell(tokens, (counts) => counts[channel])), cell(tokens, total)].join(' | ')} |\n`;
  const names = [...byLanguage].sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    `| language | rows | ${channels.join(' | ')} | all |\n|---|${'--:|'.repeat(channels.length + 2)}\n` +
    names.map(([name, counts]) => line(name, counts)).join('') +
    line('**all**', all)
  );
}

/** Tokens of the texts themselves, piece by piece: what a chat template puts around them depends on the model. */
function countTokens({ content }: Sample, tokenizer: Tokenizer): Counts {
  const counts = zeroChannels();
  const add = (channel: Channel, text: string | null | undefined) => {
    counts[channel] += tokenizer.encode(text ?? '').length;
  };
  if (content.kind === 'text') add('text', content.text);
  if (content.kind === 'messages') {
    add('system', content.tools?.map((tool) => JSON.stringify(tool)).join('\n'));
    for (const message of content.messages) addMessage(message, add);
  }
  return counts;
}

function addMessage(message: Message, add: (channel: Channel, text: string | null | undefined) => void): void {
  add(message.role === 'developer' ? 'system' : message.role, message.content);
  add('reasoning', message.reasoningContent);
  for (const call of message.toolCalls ?? []) {
    add('assistant', JSON.stringify({ name: call.name, arguments: call.arguments }));
  }
}

function emptyCounts(): LanguageCounts {
  return { rows: 0, tokens: TOKENIZERS.map(() => zeroChannels()) };
}

function total(counts: Counts): number {
  return CHANNELS.reduce((sum, channel) => sum + counts[channel], 0);
}

function cell(tokens: readonly Counts[], count: (counts: Counts) => number): string {
  return tokens.map((counts) => count(counts).toLocaleString('en')).join(' / ');
}
