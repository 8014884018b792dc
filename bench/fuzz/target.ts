import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bufferBytes } from '../../src/data/byte-source.js';
import { readCard } from '../../src/data/card.js';
import { detectSchema, normalizeRow } from '../../src/data/normalize.js';
import type { Sample } from '../../src/data/sample.js';
import { createRandom, type Random } from '../../src/data/sampling.js';
import { openRows } from '../../src/data/storage/open-file.js';
import { InputError } from '../../src/errors.js';
import { parseRecipe } from '../../src/recipe/load.js';
import type { ChatTemplate } from '../../src/text/chat-template.js';
import { PLAIN_TEMPLATE } from '../../src/text/plain-template.js';
import { render } from '../../src/text/render.js';
import { specialTokensPattern } from '../../src/text/spans.js';
import { compileTemplate } from '../../src/text/template-engine.js';
import { templateVocabulary } from '../../src/text/template-messages.js';
import { mutateGguf, readGguf } from './gguf.js';
import { mutate } from './mutate.js';
import { CHECKPOINTS, readDamagedCheckpoint } from './safetensors.js';

/** What reads an input: checkpoints, imatrix files, files of rows by their storage, cards and recipes, chat templates. */
export const KINDS = [
  'safetensors',
  'gguf',
  'parquet',
  'arrow',
  'json',
  'jsonl',
  'gzip',
  'zstd',
  'yaml',
  'template',
] as const;
export type Kind = (typeof KINDS)[number];

interface Specimen {
  readonly kind: Kind;
  readonly name: string;
  readonly bytes: Uint8Array;
}

const CARD = `---
license: [cc-by-4.0, mit]
base: &files
  - {split: train, path: "data/train-*"}
configs:
  - config_name: default
    default: true
    data_files: *files
  - config_name: other
    data_files: {test: ["a/*.jsonl", b.parquet]}
---
# Card
`;

const CALIBRATION_SET = `calibration_set:
  _templates: {languages: &languages "Answer in {{ ['German', 'Greek'][hash(row|string) % 2] }}\\n"}
  max_seq_length: 8192
  shuffle: true
  seed: 42
  datasets:
    - dataset: org/chats
      split: train
      columns: [messages]
      formatter: chat_completion
      num_samples: 8
      formatter_params: {prefix: *languages}
    - {dataset: org/pairs, split: test, columns: [q, a], formatter: prompt_answer, num_samples: all}
`;

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Checkpoints, an imatrix, every storage format's golden file, every golden row of every schema, cards, recipes, templates. */
export function loadSpecimens(): Specimen[] {
  const storage = here('test/data/storage');
  const schemas = here('test/data/schemas');
  const templates = here('test/text/oracle/templates');
  const encoder = new TextEncoder();
  const text = (kind: Kind, name: string, content: string) => ({ kind, name, bytes: encoder.encode(content) });
  const file = (kind: Kind, path: string) => ({
    kind,
    name: basename(path),
    bytes: new Uint8Array(readFileSync(path)),
  });
  const files = readdirSync(storage).flatMap((name) => {
    const kind = kindOf(name);
    return kind === null ? [] : [file(kind, join(storage, name))];
  });
  const rows = readdirSync(schemas).flatMap((folder) =>
    readdirSync(join(schemas, folder)).map((name): string => {
      const golden: { readonly row: unknown } = JSON.parse(readFileSync(join(schemas, folder, name), 'utf8'));
      return JSON.stringify(golden.row);
    }),
  );
  return [
    // Their folders are in CHECKPOINTS.
    ...Object.keys(CHECKPOINTS).map((name) => text('safetensors', name, '')),
    file('gguf', here('test/coverage/fixtures/imatrix.gguf')),
    ...files,
    text('jsonl', 'schemas.jsonl', rows.join('\n')),
    text('yaml', 'README.md', CARD),
    text('yaml', 'calibration.yaml', `model: m\noutput: o\n${CALIBRATION_SET}`),
    ...readdirSync(here('recipes'))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => file('yaml', here(`recipes/${name}`))),
    ...readdirSync(templates).map((name) => file('template', join(templates, name))),
    text('template', 'polyglot.jinja', modelTemplate()),
    text('template', 'plain.jinja', PLAIN_TEMPLATE),
  ];
}

function modelTemplate(): string {
  const path = here('test/models/polyglot-moe-18m/tokenizer_config.json');
  const config: { readonly chat_template: string } = JSON.parse(readFileSync(path, 'utf8'));
  return config.chat_template;
}

function kindOf(name: string): Kind | null {
  if (/\.(?:parquet)$/u.test(name)) return 'parquet';
  if (/\.(?:arrow|feather)$/u.test(name)) return 'arrow';
  if (name.endsWith('.gz')) return 'gzip';
  if (name.endsWith('.zst')) return 'zstd';
  if (name.endsWith('.jsonl')) return 'jsonl';
  return name.endsWith('.json') ? 'json' : null;
}

/** Part of the error when a process writes where `--allow-fs-write` does not allow it. */
const DENIED = 'Access to this API has been restricted';

export interface Outcome {
  readonly name: string;
  readonly rows: number;
  /** Whether it was refused, as it should be when it is damaged where it matters. */
  readonly refused: boolean;
}

/**
 * Damages the specimen that the iteration names and reads the result to its end, through the schemas.
 *
 * @param folder an empty one, for the kinds that are read from files; it is empty again afterwards
 * @throws whatever is not an InputError, or wraps a refusal of the process's permissions: a fault
 */
export async function readDamaged(
  all: readonly Specimen[],
  seed: number,
  iteration: number,
  kind: Kind,
  folder: string,
): Promise<Outcome> {
  const specimens = all.filter((specimen) => specimen.kind === kind);
  const random = createRandom(seed, String(iteration));
  const { name, bytes } = pick(specimens, random);
  const outcome = { name, rows: 0, refused: false };
  const attempt = async (read: () => unknown) => {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof InputError) || `${error.message} ${String(error.cause)}`.includes(DENIED)) throw error;
      outcome.refused = true;
    }
  };
  await attempt(async () => {
    if (kind === 'safetensors') return readDamagedCheckpoint(name, folder, random);
    if (kind === 'gguf') return readGguf(mutateGguf(bytes, random), folder);
    const damaged = mutate(bytes, pick(specimens, random).bytes, random, isText(kind) && random.below(2) === 0);
    if (kind === 'yaml') await readYaml(name, new TextDecoder().decode(damaged));
    else if (kind === 'template') renderAll(new TextDecoder().decode(damaged));
    else {
      const file = await openRows(bufferBytes(name, damaged));
      for await (const row of file.rows({ selection: null, columns: null })) {
        outcome.rows++;
        await attempt(() => {
          const context = { row: row.value(), columns: null, columnar: file.columnar };
          normalizeRow(detectSchema(context), context, 'fuzz', row.place);
        });
      }
    }
  });
  return outcome;
}

async function readYaml(name: string, text: string): Promise<void> {
  if (name === 'README.md') readCard(text, 'fuzz');
  else await parseRecipe(text, here(`recipes/${name}`));
}

const CONVERSATIONS: readonly Sample['content'][] = [
  {
    kind: 'messages',
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Τι ώρα είναι;' },
      { role: 'assistant', content: null, toolCalls: [{ id: 'c', name: 'f', arguments: { zone: 'Athens' } }] },
      { role: 'tool', content: '9:00', toolCallId: 'c' },
      { role: 'assistant', content: 'Εννιά.', reasoningContent: 'The tool says nine.' },
    ],
  },
  { kind: 'messages', tools: null, messages: [{ role: 'user', content: 'ok' }] },
];

function renderAll(source: string): void {
  const program = compileTemplate(source, 'fuzz');
  const named = { name: 'default', source, program, vocabulary: templateVocabulary(source) };
  const chat: ChatTemplate = { sha256: '', templates: new Map([['default', named]]), tokens: { eos_token: '</s>' } };
  const specialTokens = specialTokensPattern(['<|im_start|>', '<|im_end|>'], '</s>', null);
  const origin = { source: 'fuzz', revision: null, license: null, recordId: '1' };
  for (const content of CONVERSATIONS) {
    render({ content, language: null, category: null, origin }, chat, { specialTokens });
  }
}

function isText(kind: Kind): boolean {
  return ['json', 'jsonl', 'yaml', 'template'].includes(kind);
}

function pick(specimens: readonly Specimen[], random: Random): Specimen {
  const specimen = specimens[random.below(specimens.length)];
  if (specimen === undefined) throw new RangeError(`there are ${specimens.length} specimens`);
  return specimen;
}
