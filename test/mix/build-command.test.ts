import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { evenkeel, MODEL } from '../cli/run.js';
import { startHub, status, type HubServer } from '../data/hub/server.js';

const SHA = 'd'.repeat(40);
const remark = z.object({
  source: z.string(),
  row: z.string(),
  fate: z.string(),
  reason: z.string(),
  detail: z.string(),
});
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-build-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const chat = (id: string, answer: string, role = 'user') => ({
  id,
  messages: [
    { role, content: 'When does the ferry to Aegina leave, and what does it cost?' },
    { role: 'assistant', content: answer },
  ],
});
const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** A recipe in the test's folder; `mix` in YAML's flow style. */
async function build(mix: string, args: readonly string[] = [], name = 'recipe') {
  const recipe = join(folder, `${name}.yaml`);
  writeFileSync(recipe, `model: ${MODEL}\nmix: ${mix}\nbalance: {floor: 0, pool: 1}\noutput: ./${name}\n`);
  return evenkeel(['--quiet', 'build', recipe, ...args]);
}

const manifestOf = (name = 'recipe') => JSON.parse(readFileSync(join(folder, `${name}-mix`, 'manifest.json'), 'utf8'));
const remarksOf = (name = 'recipe') =>
  readFileSync(join(folder, `${name}-mix`, 'remarks.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => remark.parse(JSON.parse(line)));

describe('evenkeel build', () => {
  const rows = [
    chat('good', 'It leaves at nine and costs fifteen euros.'),
    chat('teller', 'It leaves at ten.', 'narrator'),
    chat('copy', 'It leaves at nine and costs fifteen euros.'),
    chat('other', 'There is none today: the wind blows from the north, and the port is closed to ferries.'),
  ];
  beforeAll(() => writeFileSync(join(folder, 'rows.jsonl'), `${lines(rows)}{"id": "cut", "messages": [\n`));

  it('ends at a row of unknown shape, naming file, line and key', async () => {
    const { code, stderr } = await build('{sources: [{dataset: ./rows.jsonl}]}');
    expect(code).toBe(2);
    expect(stderr).toContain('rows.jsonl:2 as messages: messages.0.role: wanted one of system, ');
    expect(stderr).toContain('got "narrator"');
    expect(stderr).not.toContain('    at ');
  });

  it('passes over such rows when it is told to, and accounts for every one', async () => {
    const { code, stdout } = await build('{sources: [{dataset: ./rows.jsonl, on_error: skip}]}');
    expect(code).toBe(0);
    expect(stdout).toContain('./rows.jsonl: 2 of 5 rows kept');
    expect(stdout).toContain('1 exact_duplicate, 2 unreadable');
    expect(manifestOf().sources).toMatchObject([
      { wanted: 'all', read: 5, kept: 2, dropped: { exact_duplicate: 1, unreadable: 2 } },
    ]);
    expect(remarksOf()).toMatchObject([
      { row: expect.stringContaining('rows.jsonl:2'), fate: 'skipped', detail: expect.stringContaining('narrator') },
      { row: 'copy', fate: 'dropped', reason: 'exact_duplicate' },
      { row: expect.stringContaining('rows.jsonl:5'), fate: 'skipped', detail: expect.stringContaining('as JSON') },
    ]);
  });

  it('tells of tokens on their way through the template, by channel', async () => {
    const thoughts = ['first', 'second'].flatMap((which) => [
      { role: 'user', content: `A ${which} question about ferries, please.` },
      { role: 'assistant', reasoning_content: `A ${which} thought about ferries.`, content: `The ${which} answer.` },
    ]);
    writeFileSync(join(folder, 'thoughts.jsonl'), lines([{ messages: thoughts }]));
    const template = `${MODEL}/../../text/oracle/templates/thinking-stripped.jinja`;
    const sources = `chat_template: ${template}, sources: [{dataset: ./thoughts.jsonl}]`;
    await build(`{${sources}}`);
    const { stages } = manifestOf();
    expect(stages.rendered.reasoning).toBeLessThan(stages.raw.reasoning);
    expect(stages.kept).toEqual(stages.rendered);
    const { stdout } = await build(`{${sources}, template_arguments: {preserve_thinking: true}}`);
    expect(manifestOf().stages.rendered.reasoning).toBeGreaterThan(stages.rendered.reasoning);
    expect(stdout).toMatch(/^ {2}rendered {5,}\d+ +\d+ +\d+$/mu);
  });

  it('refuses a template that is not there and arguments that rows give, and tells of those that nothing reads', async () => {
    writeFileSync(
      join(folder, 'chat.jsonl'),
      lines([chat('a', 'It leaves at nine.'), { text: 'No template at all.' }]),
    );
    const sources = 'sources: [{dataset: ./chat.jsonl}]';
    for (const [setting, message] of [
      ['template: tools', '2:17: Cannot choose the chat template "tools": the model has "default"'],
      [
        'template_arguments: {messages: []}',
        '2:28: Cannot set "messages" for the chat template: it is given by the rows',
      ],
      ['template_arguments: {add_generation_prompt: true}', 'Cannot set "add_generation_prompt"'],
    ]) {
      const { code, stderr } = await build(`{${setting}, ${sources}}`);
      expect(code).toBe(2);
      expect(stderr).toContain(message);
    }
    const recipe = join(folder, 'typo.yaml');
    const mix = `{template_arguments: {enable_thinkng: true}, ${sources}}`;
    writeFileSync(recipe, `model: ${MODEL}\nmix: ${mix}\nbalance: {floor: 0, pool: 1}\noutput: ./typo\n`);
    const { code, stderr } = await evenkeel(['build', recipe]);
    expect(code).toBe(0);
    expect(stderr).toContain('template_arguments: the chat template does not read "enable_thinkng"');
  });

  it('says what each rule for long rows would lose, and reports rows in other languages', async () => {
    const german = 'Das Schiff fährt um neun Uhr ab, und die Fahrt kostet fünfzehn Euro für jeden Erwachsenen. '.repeat(
      20,
    );
    writeFileSync(join(folder, 'long.jsonl'), lines([{ ...chat('long', german), language: 'fr' }]));
    const { stdout } = await build(
      '{sequence_length: 128, overflow: truncate, sources: [{dataset: ./long.jsonl}], clean: {degenerate: off}}',
    );
    const { lengths } = manifestOf();
    expect(lengths).toMatchObject({
      overLength: 1,
      droppedByAutoAwq: 1,
      overflowCost: { window: 0, drop: lengths.max },
    });
    expect(stdout).toContain(
      `truncate loses ${lengths.max - 128} tokens, drop ${lengths.max}; AutoAWQ would drop 1 rows`,
    );
    expect(stdout).toContain('Declared and identified otherwise: fr as de 1');
    expect(remarksOf()).toMatchObject([{ row: 'long', fate: 'kept', reason: 'language' }]);
  });

  it('names the line of the recipe for what is wrong with a source', async () => {
    writeFileSync(join(folder, 'broken.parquet'), 'PAR1 and no more than that PAR0');
    for (const [source, message] of [
      ['{dataset: ./rows.jsonl, format: chats}', 'Cannot read format "chats"'],
      ['{dataset: ./broken.parquet}', 'as Parquet: wanted "PAR1" at its end'],
      ['{dataset: ./nowhere.jsonl}', 'there is no such file or folder'],
    ]) {
      const { code, stderr } = await build(`{sources: [${source}]}`);
      expect(code).toBe(2);
      expect(stderr).toMatch(/recipe\.yaml:2:\d+: /u);
      expect(stderr).toContain(message);
    }
  });
});

it('finds every source before it reads the first', async () => {
  const recipe = '{sources: [{dataset: ./rows.jsonl}, {dataset: ./rows.jsonl, split: dev}]}';
  const { code, stderr } = await build(recipe);
  expect(code).toBe(2);
  // The first source has a row that nothing can read, which would be told first.
  expect(stderr).toContain('no split "dev"; it has train');
});

describe('evenkeel build from the Hub', () => {
  let hub: HubServer;
  const data = Buffer.from(
    lines(
      Array.from({ length: 30 }, (_, at) => ({ text: `A paragraph of its own, the number of which is ${at * 7919}.` })),
    ),
  );
  const large = Buffer.from(
    lines(Array.from({ length: 40 }, (_, at) => ({ text: `Row ${at * 7919}`, pad: 'x'.repeat(450_000) }))),
  );
  const files = { 'README.md': Buffer.from('---\nlicense: mit\n---\n'), 'train.jsonl': data };
  beforeAll(async () => {
    hub = await startHub([
      { type: 'dataset', id: 'org/set', license: 'mit', refs: { main: SHA }, commits: { [SHA]: files } },
      { type: 'dataset', id: 'org/large', refs: { main: SHA }, commits: { [SHA]: { 'train.jsonl': large } } },
      { type: 'dataset', id: 'org/closed', token: 'hf_x', refs: { main: SHA }, commits: { [SHA]: files } },
    ]);
    Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, 'hub') });
  });
  afterAll(async () => {
    for (const name of ['HF_ENDPOINT', 'HF_HOME', 'HF_HUB_OFFLINE', 'HF_TOKEN']) delete process.env[name];
    await hub.close();
  });
  const filesOf = (name: string) =>
    Object.fromEntries(
      readdirSync(join(folder, `${name}-mix`)).map((file) => [
        file,
        readFileSync(join(folder, `${name}-mix`, file), 'base64'),
      ]),
    );

  it('pins the commit, and gives the same bytes again without the network', async () => {
    const mix = '{sources: [{dataset: org/set, samples: 10}], clean: {near_duplicates: off}}';
    hub.faults.push({ url: /\/revision\//u, times: 1, act: status(429, { 'retry-after': '0' }) });
    expect(await build(mix, [], 'online')).toMatchObject({ code: 0 });
    expect(manifestOf('online').sources).toMatchObject([
      { source: 'org/set', revision: SHA, license: 'mit', kept: 10 },
    ]);
    process.env['HF_HUB_OFFLINE'] = '1';
    hub.log.length = 0;
    expect(await build(mix, [], 'offline')).toMatchObject({ code: 0 });
    expect(hub.log).toEqual([]);
    const [online, offline] = [filesOf('online'), filesOf('offline')];
    // It names its recipe.
    delete online['report.html'];
    delete offline['report.html'];
    expect(offline).toEqual(online);
  });

  it('tells how a large file comes, and goes on building', async () => {
    const recipe = join(folder, 'large.yaml');
    const mix = '{sources: [{dataset: org/large, samples: 5}]}';
    writeFileSync(recipe, `model: ${MODEL}\nmix: ${mix}\nbalance: {floor: 0, pool: 1}\noutput: ./large\n`);
    delete process.env['HF_HUB_OFFLINE'];
    const { code, stderr } = await evenkeel(['--log-format', 'json', 'build', recipe]);
    expect(code, stderr).toBe(0);
    const event = z.object({ event: z.string(), stage: z.string().optional(), done: z.number().optional() });
    const events = stderr
      .trim()
      .split('\n')
      .map((line) => event.parse(JSON.parse(line)));
    expect(events.filter((each) => each.event === 'stage').map(({ stage }) => stage)).toEqual([
      'build mix',
      'download org/large',
      'build mix',
    ]);
    const done = events.flatMap((each) => (each.stage === 'download org/large' ? (each.done ?? []) : []));
    expect(done).toEqual([...new Set(done)].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(17);
  });

  it('says who may read, and reads with a token', async () => {
    delete process.env['HF_HUB_OFFLINE'];
    const mix = '{sources: [{dataset: org/closed}], clean: {near_duplicates: off}}';
    const refused = await build(mix);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/recipe\.yaml:2:\d+: Cannot .*"org\/closed"/u);
    expect(refused.stderr).toContain('HF_TOKEN');
    process.env['HF_TOKEN'] = 'hf_x';
    expect(await build(mix)).toMatchObject({ code: 0 });
  });
});
