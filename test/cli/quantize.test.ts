import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { evenkeel, MODEL, ROOT, type Outcome } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-cli-'));

/** A small job: a tenth of the demo's tokens, rounding to nearest. */
function recipe(name: string, changes = ''): string {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(
    file,
    `model: ${MODEL}
mix:
  tokens: 5120
  sequence_length: 256
  sources:
    - dataset: builtin:multilingual-dialogues
balance: {floor: 16, pool: 1}
quantize: {rounding: nearest}
evaluate:
  tokens: 2048
  sources:
    - dataset: builtin:languages
output: ./${name}
${changes}`,
  );
  return file;
}

function digest(checkpoint: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(checkpoint).sort()) hash.update(name).update(readFileSync(join(checkpoint, name)));
  return hash.digest('hex');
}

describe('evenkeel quantize', () => {
  let outcome: Outcome;
  beforeAll(async () => {
    outcome = await evenkeel(['quantize', recipe('first'), '--json']);
  });

  it('prints one JSON document on stdout and beats plain rounding', () => {
    expect(outcome.stderr).not.toMatch(/fault/);
    expect(outcome.code).toBe(0);
    const result = JSON.parse(outcome.stdout);
    expect(result.coverage.schema).toBe('evenkeel.coverage/1');
    expect(result.findings).toEqual([]);
    expect(result.evaluation.mean.kl).toBeLessThan(result.roundToNearest.mean.kl);
    expect(result.evaluation.mean.kl).toBeGreaterThan(0);
  });

  it('writes the mix, coverage.json, the report and the checkpoint where it says', () => {
    const { paths } = JSON.parse(outcome.stdout) as { paths: Record<string, string> };
    for (const path of Object.values(paths)) expect(existsSync(path), path).toBe(true);
    expect(readFileSync(paths['report']!, 'utf8')).toMatch(/^<!doctype html>/i);
  });

  it('refuses to write over a checkpoint, and leaves it as it was', async () => {
    const before = digest(join(folder, 'first'));
    const again = await evenkeel(['quantize', join(folder, 'first.yaml')]);
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/finished checkpoint already/);
    expect(digest(join(folder, 'first'))).toBe(before);
  });

  it('gives the same bytes again, and after being killed and resumed', async () => {
    const file = recipe('second');
    let killed = false;
    const broken = await evenkeel(['--log-format', 'json', 'quantize', file], {
      onStderr: (chunk, kill) => {
        if (killed || !/"stage":"quantize","done":2/.test(chunk)) return;
        killed = true;
        kill('SIGKILL');
      },
    });
    expect(killed).toBe(true);
    expect(broken.code).not.toBe(0);
    expect(existsSync(join(folder, 'second', 'config.json'))).toBe(false);
    const resumed = await evenkeel(['quantize', file, '--resume', '--json']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toMatch(/layers were finished by the earlier run/);
    expect(digest(join(folder, 'second'))).toBe(digest(join(folder, 'first')));
  });

  it('refuses to resume under other settings and says which', async () => {
    const file = recipe('third');
    const stopped = await evenkeel(['--log-format', 'json', 'quantize', file], {
      onStderr: (chunk, kill) => {
        if (/"stage":"quantize","done":1/.test(chunk)) kill('SIGINT');
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toMatch(/Go on with: evenkeel quantize .*third\.yaml --resume$/m);
    expect(existsSync(join(folder, 'third', 'config.json'))).toBe(false);
    const other = await evenkeel(['quantize', file, '--resume', '--set', 'quantize.clip=false']);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/rounding\.clip was true, is false$/m);
  });

  it('verify and evaluate agree with what quantize found', async () => {
    const verified = await evenkeel(['verify', join(folder, 'first'), '--model', MODEL]);
    expect(verified.stdout).toMatch(/is sound/);
    expect(verified.code).toBe(0);
  });
});

describe('bad input', () => {
  it.each([
    ['a typo in a key', recipe('typo', 'quantise: {}'), /typo\.yaml:\d+:\d+: .*"quantise".*"quantize"/s],
    ['a model that is not there', recipe('absent').replace(MODEL, ''), /./],
  ])('%s exits with 2 and one message', async (_what, file, message) => {
    const outcome = await evenkeel([
      'quantize',
      file,
      ...(file.includes('absent') ? ['--set', 'model=./nowhere'] : []),
    ]);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
  });

  it('an unsupported architecture is named, with what is near', async () => {
    const model = mkdtempSync(join(tmpdir(), 'evenkeel-unsupported-'));
    for (const name of ['model.safetensors'])
      writeFileSync(join(model, name), readFileSync(`${ROOT}test/conformance/qwen3/${name}`));
    const config = JSON.parse(readFileSync(`${ROOT}test/conformance/qwen3/config.json`, 'utf8'));
    writeFileSync(
      join(model, 'config.json'),
      JSON.stringify({ ...config, architectures: ['Qwen9ForCausalLM'], model_type: 'qwen9' }),
    );
    const outcome = await evenkeel(['inspect', model]);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/'Qwen9ForCausalLM' is not supported.*qwen3/s);
  });
});

describe('evenkeel audit', () => {
  it('exits with 3 when a language is under its floor and --strict is set', async () => {
    const out = join(folder, 'audit');
    const ids = join(folder, 'ids.jsonl');
    writeFileSync(
      ids,
      Array.from({ length: 4 }, (_, i) =>
        JSON.stringify({
          input_ids: Array.from({ length: 100 }, (_value, j) => (i * 977 + j * 31) % 16384),
          language: 'el',
        }),
      ).join('\n'),
    );
    const outcome = await evenkeel([
      'audit',
      ids,
      '--model',
      MODEL,
      '--floor',
      '1,fr=10',
      '--strict',
      '--output',
      out,
      '--json',
    ]);
    expect(outcome.code).toBe(3);
    const coverage = JSON.parse(outcome.stdout);
    expect(coverage.tokens).toBe(400);
    expect(coverage.layers[0].routed.reduce((sum: number, count: number) => sum + count, 0)).toBe(1600);
    expect(JSON.parse(readFileSync(join(out, 'coverage.json'), 'utf8'))).toEqual(coverage);
  });
});

// The mix is written while the lanes work on the first layer: when that fails, the run beside it must end, too.
it('evenkeel quantize lets go of its folder when the mix cannot be written', async () => {
  const file = recipe('unwritable');
  writeFileSync(join(folder, 'unwritable-mix'), 'in the way');
  const { code, stderr } = await evenkeel(['--quiet', 'quantize', file]);
  expect(stderr).toContain('unwritable-mix');
  expect(code).toBe(2);
  const left = readdirSync(join(folder, 'unwritable'));
  expect(left).not.toContain('.evenkeel-lock');
  expect(left).not.toContain('config.json');
});
