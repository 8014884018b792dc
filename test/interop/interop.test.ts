import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';
import { folder, FOLDERS } from '../model/folders.js';
import { pythonWith } from './environment.js';
import { quantizeFolder, withLogits, type Case } from './quantized.js';

const run = promisify(execFile);

type Loaded =
  | { readonly failure: string }
  | {
      readonly missing: readonly string[];
      readonly unexpected: readonly string[];
      readonly mismatched: readonly string[];
      /** Largest difference of a logit, as a share of the largest logit's magnitude. */
      readonly error: number;
    };

/** What `--target transformers` refuses. When one of these loads, its rule has had its day. */
const REFUSED: Readonly<Record<string, readonly [model: string, quantize: string]>> = {
  granitemoe: ['granitemoe', '{scheme: W4A16, group_size: 32}'],
  'asymmetric experts': ['qwen3_moe', '{scheme: W4A16_ASYM, group_size: 32}'],
  'experts of 8 bits in one layer': [
    'qwen3_moe',
    "{group_size: 32, groups: [{targets: ['re:.*layers\\.1\\.mlp\\.experts\\..*'], scheme: W8A16, group_size: 32}]}",
  ],
};

/** Loaded as a language model, a multimodal checkpoint has its tower left over. */
const LEFT_OVER = /^(vision_model|multi_modal_projector)\./;

/** Both sides compute in f32 from the same weights. */
const LOGITS_TOLERANCE = 2e-5;

const SYMMETRIC = readdirSync(fileURLToPath(new URL('../conformance/', import.meta.url))).filter(
  (name) => FOLDERS.has(name) && !name.startsWith('granitemoe'),
);
const EXPERTS_SYMMETRIC = `{scheme: W4A16_ASYM, group_size: 32, groups: [{targets: ['re:.*\\.experts\\.\\d+\\..*'], scheme: W4A16, group_size: 32}]}`;

/** Name → model folder and the `quantize` part of a recipe. */
const CASES: Readonly<Record<string, readonly [model: string, quantize: string]>> = {
  ...Object.fromEntries(SYMMETRIC.map((name) => [name, [name, '{scheme: W4A16, group_size: 32}']])),
  // 48 inputs of the experts: no group divides them.
  llama4_text: ['llama4_text', '{scheme: W4A16, group_size: channel}'],
  llama4_multimodal: ['llama4_multimodal', '{scheme: W4A16, group_size: channel}'],
  'llama4_text, asymmetric': ['llama4_text', '{scheme: W4A16_ASYM, group_size: channel}'],
  'llama, asymmetric': ['llama', '{scheme: W4A16_ASYM, group_size: 32}'],
  'qwen3, asymmetric': ['qwen3', '{scheme: W4A16_ASYM, group_size: 64}'],
  'phi3, asymmetric': ['phi3', '{scheme: W4A16_ASYM, group_size: 64}'],
  'llama, smaller groups where 128 does not divide': ['llama', '{scheme: W4A16, group_size: 128}'],
  'qwen3_moe, experts symmetric, the rest asymmetric': ['qwen3_moe', EXPERTS_SYMMETRIC],
  'deepseek_v3, experts symmetric, the rest asymmetric': ['deepseek_v3', EXPERTS_SYMMETRIC],
  'deepseek_v3, shared experts of 8 bits': [
    'deepseek_v3',
    "{scheme: W4A16, group_size: 32, groups: [{targets: ['re:.*shared_experts.*'], scheme: W8A16, group_size: 32}]}",
  ],
  'mixtral, 8 bits by channel': ['mixtral', '{scheme: W8A16, group_size: channel}'],
  'qwen3_moe, plain rounding': ['qwen3_moe', '{scheme: W4A16, group_size: 32, rounding: nearest, clip: false}'],
  'qwen3_moe, positive scales': ['qwen3_moe', '{scheme: W4A16, group_size: 32, signed_scales: false}'],
};

/**
 * AutoAWQ checkpoints, converted by compressed-tensors itself. Where that gives what transformers does not load, or what it
 * rounds otherwise in f32 than both do in f16, weights alone are compared.
 */
const CONVERTED: Readonly<Record<string, readonly [model: string, quantize: string, compares: 'logits' | 'weights']>> =
  {
    'llama in AutoAWQ, asymmetric': ['llama', '{format: autoawq, scheme: W4A16_ASYM, group_size: 32}', 'weights'],
    'llama in AutoAWQ, symmetric': ['llama', '{format: autoawq, group_size: 64}', 'logits'],
    'qwen3_moe in AutoAWQ, asymmetric': ['qwen3_moe', '{format: autoawq, scheme: W4A16_ASYM}', 'weights'],
    'mixtral in AutoAWQ, symmetric': ['mixtral', '{format: autoawq}', 'weights'],
  };

const SHIPPED = fileURLToPath(new URL('../models/polyglot-moe-18m', import.meta.url));
const PROMPTS = [
  'Der Müller mahlt am Morgen das Korn, das die Bauern am Abend vorher gebracht haben.',
  'Η θάλασσα ήταν ήσυχη και τα καΐκια γύριζαν ένα ένα στο λιμάνι.',
  'def area(width: float, height: float) -> float:\n    return width * height\n',
];

describe('transformers and compressed-tensors load what was written', { timeout: 20_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'evenkeel-interop-'));
  let results: Readonly<Record<string, Loaded>> = {};

  beforeAll(async () => {
    const python = await pythonWith({
      name: 'interop',
      requirements: new URL('./requirements.txt', import.meta.url),
      variable: 'EVENKEEL_INTEROP_PYTHON',
    });
    const cases: Case[] = [await quantizeShipped(directory)];
    for (const [name, [model, quantize]] of Object.entries({ ...CASES, ...REFUSED }))
      cases.push(await quantizeFolder(name, folder(model), quantize, directory));
    for (const [name, [model, quantize, compares]] of Object.entries(CONVERTED)) {
      const { logits, ...rest } = await quantizeFolder(name, folder(model), quantize, directory);
      const convertTo = join(directory, `${name}, converted`);
      cases.push({ ...rest, convertTo, ...(compares === 'logits' && logits !== undefined ? { logits } : {}) });
    }
    writeFileSync(join(directory, 'cases.json'), JSON.stringify(cases));
    const script = fileURLToPath(new URL('./load.py', import.meta.url));
    await run(python, [script, join(directory, 'cases.json'), join(directory, 'results.json')]);
    results = JSON.parse(readFileSync(join(directory, 'results.json'), 'utf8')) as typeof results;
    // Making the virtual environment is most of it, and happens once.
  }, 1_200_000);

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const loaded = Object.keys(CONVERTED).filter((name) => CONVERTED[name]![2] === 'logits');
  it.each(['the shipped model', ...Object.keys(CASES), ...loaded])('%s', (name) => {
    const result = results[name]!;
    if ('failure' in result) expect.fail(result.failure);
    const unexpected = result.unexpected.filter((key) => !LEFT_OVER.test(key));
    expect({ ...result, unexpected }).toMatchObject({ missing: [], unexpected: [], mismatched: [] });
    expect(result.error).toBeLessThan(LOGITS_TOLERANCE);
  });

  it.each(Object.keys(CONVERTED))('%s: every weight is the same after conversion', (name) => {
    const ours = openCheckpoint(join(directory, name));
    const converted = openCheckpoint(join(directory, `${name}, converted`));
    const packed = [...ours.tensors.values()].filter(({ encoding }) => encoding === 'autoawq');
    expect(packed.length).toBeGreaterThan(0);
    const converts = results[name]!;
    if ('failure' in converts) expect.fail(converts.failure);
    for (const { name: tensor } of packed) {
      expect(converted.tensors.get(tensor)?.encoding).toBe('compressed-tensors');
      expect(converted.read(tensor), tensor).toEqual(ours.read(tensor));
    }
    ours.close();
    converted.close();
  });

  it.each(Object.keys(REFUSED))('but not %s', (name) => {
    const result = results[name]!;
    expect('failure' in result || result.missing.length > 0 || result.error > LOGITS_TOLERANCE).toBe(true);
  });
});

/** The whole command, as users run it. */
async function quantizeShipped(directory: string): Promise<Case> {
  const name = 'the shipped model';
  const output = join(directory, name);
  const recipe = join(directory, 'shipped.yaml');
  writeFileSync(
    recipe,
    `model: ${SHIPPED}
mix: {tokens: 4096, sequence_length: 256, sources: [{dataset: 'builtin:multilingual-dialogues'}]}
balance: {floor: 0, pool: 1}
output: '${output}'
`,
  );
  const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  await run(process.execPath, [cli, '--quiet', 'quantize', recipe]);
  const tokenizer = await loadTokenizer(SHIPPED);
  const encoded = PROMPTS.map((prompt) => [...tokenizer.encode(prompt)]);
  const length = Math.min(...encoded.map((ids) => ids.length));
  const inputIds = encoded.map((ids) => ids.slice(0, length));
  return withLogits(name, output, inputIds, directory);
}
