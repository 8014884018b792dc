import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { evenkeel, MODEL, ROOT, type Outcome } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-audit-'));
process.env['XDG_CACHE_HOME'] = join(folder, 'cache');
const FIXTURES = join(ROOT, 'test/coverage/fixtures');
const at = (name: string): string => join(folder, name);
const run = (...args: string[]): Promise<Outcome> => evenkeel(['--quiet', 'audit', ...args], { cwd: folder });

/** A mix in one language, which leaves experts of other languages hungry. */
function englishRecipe(name: string): string {
  writeFileSync(
    at(`${name}.yaml`),
    `model: ${MODEL}
mix:
  tokens: 4096 # small
  sequence_length: 512
  sources:
    - dataset: builtin:multilingual-dialogues
  languages: {en: 1, default: 0}
output: ./${name}
`,
  );
  return at(`${name}.yaml`);
}

// The audit once wrote its report over the one that the build had left in the folder, with the choices in it.
it('evenkeel audit of a mix folder leaves the folder as it was built', async () => {
  const built = await evenkeel(['--quiet', 'build', englishRecipe('left'), '--output', at('left/mix')], {
    cwd: folder,
  });
  expect(built.code).toBe(0);
  const contents = () =>
    Object.fromEntries(
      readdirSync(at('left/mix')).map((name) => [name, readFileSync(at(`left/mix/${name}`), 'base64')]),
    );
  const before = contents();
  expect(Object.keys(before)).toContain('report.html');
  for (const [name, written] of [
    [at('left/mix/'), at('left/mix-audit')],
    ['left/mix', at('left/mix-audit')],
  ] as const) {
    rmSync(written, { recursive: true, force: true });
    const { stdout } = await run(name, '--model', MODEL, '--floor', '1');
    expect(stdout).toContain('mix-audit/report.html');
    expect(readdirSync(written).sort()).toEqual(['coverage.json', 'report.html', 'report.md']);
  }
  expect(contents()).toEqual(before);
});

describe('evenkeel audit of what another tool counted', () => {
  it('reads an imatrix without a model, and writes all forms of the report', async () => {
    const { code, stdout } = await run(join(FIXTURES, 'imatrix.gguf'), '--output', at('imatrix'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^FAIL {2}6 of 24 cells get fewer than 64 routed tokens/);
    expect(stdout).toContain('Counted by llama-imatrix over 1,536 tokens');
    for (const name of ['coverage.json', 'report.html', 'report.md'])
      expect(existsSync(at(`imatrix/${name}`))).toBe(true);
  });

  it('reads .moe.html as --json, and --strict ends with 3', async () => {
    writeFileSync(at('.moe.html'), gunzipSync(readFileSync(join(FIXTURES, 'model-optimizer.moe.html.gz'))));
    const { code, stdout, stderr } = await run(at('.moe.html'), '--json', '--floor', '16', '--strict');
    expect(code).toBe(3);
    expect(stderr).toContain('under its floor');
    expect(JSON.parse(stdout)).toMatchObject({ imported: { format: 'moe.html' }, floor: 16, verdict: 'fail' });
  });

  it.each([
    [['imatrix.gguf', '--floor', '64,el=3'], "against a floor of 'el'"],
    [['imatrix.gguf', '--seeds', '3'], 'with --seeds: wanted a mix or a recipe'],
    [['imatrix.gguf', '--prefix', '3'], 'with --prefix'],
    [['imatrix.gguf', '--suggest', 'builtin:languages'], 'wanted --model DIR'],
    [['imatrix.gguf', '--suggest', 'builtin:languages', '--model', MODEL], 'has other layers or experts'],
    [['nothing.gguf'], 'there is no such file'],
  ])('%j is bad input', async (args, message) => {
    const [file, ...rest] = args as [string, ...string[]];
    const { code, stderr } = await run(join(FIXTURES, file), ...rest);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(2);
  });
});

describe('evenkeel audit of a recipe', () => {
  let outcome: Outcome;
  beforeAll(async () => {
    const recipe = englishRecipe('english');
    outcome = await run(recipe, '--no-balance', '--seeds', '3', '--suggest', 'builtin:languages');
  });

  it('says what is wrong, why, and what to add', () => {
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toMatch(/^FAIL {2}\d+ of 128 cells get fewer than 64/);
    expect(outcome.stdout).toMatch(/^Why {3}All of the text is English/m);
    expect(outcome.stdout.replaceAll(/\s+/g, ' ')).toMatch(
      /Add About \d+ tokens of .* which brings all \d+ cells to the floor/,
    );
    expect(outcome.stdout).toContain('Over 3 seeds: ');
  });

  it('puts the same into coverage.json', () => {
    const document = JSON.parse(readFileSync(at('english-audit/coverage.json'), 'utf8'));
    expect(document).toMatchObject({ schema: 'evenkeel.coverage/1', stability: { runs: 3 }, verdict: 'fail' });
    expect(document.fixes.additions.length).toBeGreaterThan(0);
    expect(document.languages.en.gateMass).toHaveLength(4);
  });

  it('leaves a changed recipe whose mix passes', async () => {
    const changed = readFileSync(at('english.suggested.yaml'), 'utf8');
    expect(changed).toContain('# small');
    expect(parse(changed).mix.sources).toHaveLength(2);
    const build = await evenkeel(['--quiet', 'build', at('english.suggested.yaml'), '--output', at('mended')]);
    expect(build.stderr + build.stdout).toContain('PASS');
    const { code, stdout } = await run(at('mended'), '--model', MODEL, '--strict');
    expect(stdout).toMatch(/^PASS/);
    expect(code).toBe(0);
  });

  it('balances as build does, unless told not to', async () => {
    const { stdout } = await run(englishRecipe('balanced'), '--json');
    expect(JSON.parse(stdout).balance).toMatchObject({ schema: 'evenkeel.balance/1' });
  });
});

describe('evenkeel audit of samples', () => {
  it('judges floors of languages, channels and lengths', async () => {
    const mix = at('ids.jsonl');
    const row = (language: string, length: number): string =>
      JSON.stringify({ input_ids: Array.from({ length }, (_, i) => 300 + ((i * 37) % 4000)), language });
    writeFileSync(mix, [row('el', 90), row('en', 120), row('ka', 60)].join('\n'));
    const { code, stdout } = await run(
      mix,
      '--model',
      MODEL,
      '--floor',
      '0,el=100,text=300,length=91',
      '--strict',
      '--json',
    );
    expect(code).toBe(3);
    expect(JSON.parse(stdout).failures).toEqual([
      { kind: 'language', language: 'el', tokens: 90, floor: 100 },
      { kind: 'channel', channel: 'text', tokens: 270, floor: 300 },
      { kind: 'length', median: 90, floor: 91 },
    ]);
    expect((await run(mix, '--model', MODEL, '--floor', '0,el=90,text=270,length=90', '--strict')).code).toBe(0);
  });

  it('estimates from beginnings, with the error in coverage.json', async () => {
    const { code, stdout } = await run(
      'builtin:multilingual-dialogues',
      '--model',
      MODEL,
      '--sequence-length',
      '512',
      '--prefix',
      '32',
      '--json',
    );
    expect(code).toBe(0);
    const { estimate, tokens } = JSON.parse(stdout);
    expect(estimate).toMatchObject({ prefix: 32, pilot: 60, confidence: 0.95 });
    expect(estimate.tokensRun).toBeLessThan(tokens / 4);
  });

  it.each([
    [['ids.jsonl'], 'wanted --model DIR'],
    [['ids.jsonl', '--model', MODEL, '--seeds', '2'], 'wanted a recipe'],
    [['ids.jsonl', '--model', MODEL, '--floor', '64,tools=3'], "set a floor for 'tools'"],
    [['ids.jsonl', '--model', MODEL, '--prefix', '0'], 'wanted a whole number of at least 1'],
  ])('%j is bad input', async (args, message) => {
    const { code, stderr } = await run(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
