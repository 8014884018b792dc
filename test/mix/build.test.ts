import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Message, Sample } from '../../src/data/sample.js';
import { readSource } from '../../src/data/read-source.js';
import { buildMix, type BuildEvent, type BuildOptions, type BuiltMix } from '../../src/mix/build.js';
import { NO_CLEANING, type CleanOptions } from '../../src/mix/clean.js';
import type { SkippedRow } from '../../src/mix/remarks.js';
import { holdsTokenIds, readMix } from '../../src/mix/read.js';
import { writeMix } from '../../src/mix/write.js';
import { loadChatTemplate } from '../../src/text/chat-template.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';

const MODEL = 'test/models/polyglot-moe-18m';
const CLEAN: CleanOptions = {
  exactDuplicates: 'drop',
  nearDuplicates: 'drop',
  nearDuplicateSimilarity: 0.85,
  degenerate: 'drop',
  replacementCharacters: 'drop',
  secrets: 'drop',
  contamination: 'drop',
  languages: 'report',
};
let options: BuildOptions;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-mix-'));
  options = {
    tokenizer: await loadTokenizer(MODEL),
    chatTemplate: await loadChatTemplate(MODEL),
    modelVocabularySize: 16_384,
    sequenceLength: 256,
    overflow: 'window',
    tokens: 8192,
    sourceWeights: new Map(),
    languageWeights: new Map(),
    seed: 42,
    version: '0.0.0',
    wanted: new Map(),
    clean: CLEAN,
  };
});

async function build(
  samples: AsyncIterable<Sample>,
  changes: Partial<BuildOptions> = {},
): Promise<{ mix: BuiltMix; events: BuildEvent[] }> {
  const generator = buildMix(samples, { ...options, ...changes });
  const events: BuildEvent[] = [];
  for (;;) {
    const next = await generator.next();
    if (next.done === true) return { mix: next.value, events };
    events.push(next.value);
  }
}

async function* rows(...all: readonly (readonly Message[])[]): AsyncGenerator<Sample> {
  for (const [index, messages] of all.entries()) {
    yield {
      content: { kind: 'messages', messages, tools: null },
      language: 'en',
      category: null,
      origin: { source: 's', revision: 'r1', license: 'MIT', recordId: String(index) },
    };
  }
}
/** A template that wants something said. */
async function refusing(): Promise<string> {
  const path = join(folder, 'refusing.jinja');
  await writeFile(
    path,
    "{% if not messages %}{{ raise_exception('nothing was said') }}{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}",
  );
  return path;
}

const said = (text: string): Message[] => [
  { role: 'user', content: 'Tell me.' },
  { role: 'assistant', content: text },
];
const builtin = () => readSource({ dataset: 'builtin:languages' }, { seed: 42 });
const bytesOf = async (path: string) =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(path))
        .sort()
        .map(async (name) => [name, readFileSync(join(path, name)).toString('base64')] as const),
    ),
  );

describe('buildMix()', () => {
  it('accounts for every row: kept, or dropped for a reason', async () => {
    const prose =
      'The ferry to Aegina leaves at nine, and the baker by the quay opens well before that, so nobody sails hungry.';
    const { mix, events } = await build(
      rows(
        said(prose),
        said(`${prose} `),
        said(`Well: ${prose.repeat(3)}`),
        said('loop '.repeat(400)),
        said('Broken \uFFFD text'),
        said(`Use ${['AKIA', 'Q4TZ7KXN2VWM6RJP'].join('')} for that.`),
        [],
      ),
      { skipRefusedOf: new Set(['s']), tokens: null },
    );
    const [report] = mix.manifest.sources;
    expect(report).toMatchObject({ source: 's', revision: 'r1', license: 'MIT', read: 7, kept: 2 });
    expect(report?.dropped).toEqual({
      degenerate: 1,
      exact_duplicate: 1,
      replacement_characters: 1,
      secret: 1,
      empty: 1,
    });
    expect(events.filter(({ type }) => type === 'dropped')).toHaveLength(5);
  });

  it('takes nothing of a blank row for a sequence', async () => {
    async function* blank(): AsyncGenerator<Sample> {
      for await (const sample of rows([], [])) yield { ...sample, content: { kind: 'text', text: ' \n ' } };
      yield* rows(said('The ferry leaves at nine, and nobody sails hungry.'));
    }
    const { mix } = await build(blank());
    expect(mix.manifest.sources).toMatchObject([{ read: 3, kept: 1, dropped: { empty: 2 } }]);
  });

  it('counts rows that were passed over while reading, and those that the template of a lenient source refuses', async () => {
    const skipped: SkippedRow[] = [];
    async function* reading(): AsyncGenerator<Sample> {
      skipped.push({ source: 's', place: 'a.jsonl:1', reason: 'no JSON', after: 0 });
      yield* rows(said('The ferry leaves at nine, and nobody sails hungry.'), []);
      skipped.push({ source: 's', place: 'a.jsonl:4', reason: 'no role', after: 2 });
    }
    const chatTemplate = await loadChatTemplate(MODEL, await refusing());
    const lenient = { skipped, skipRefusedOf: new Set(['s']), chatTemplate, tokens: null };
    const { mix } = await build(reading(), lenient);
    expect(mix.manifest.sources[0]).toMatchObject({ read: 4, kept: 1, dropped: { unreadable: 2, template_error: 1 } });
    expect(mix.remarks).toEqual([
      { source: 's', row: 'a.jsonl:1', fate: 'skipped', reason: 'unreadable', detail: 'no JSON' },
      {
        source: 's',
        row: '1',
        fate: 'dropped',
        reason: 'template_error',
        detail: expect.stringContaining('Cannot render row "1" of "s"'),
      },
      { source: 's', row: 'a.jsonl:4', fate: 'skipped', reason: 'unreadable', detail: 'no role' },
    ]);
    await expect(build(reading(), { chatTemplate, skipRefusedOf: new Set(['t']) })).rejects.toThrow(
      'Cannot render row "1" of "s"',
    );
  });

  it('says what a budget did not draw', async () => {
    const { mix } = await build(builtin(), { tokens: 2048 });
    const [report] = mix.manifest.sources;
    const dropped = Object.values(report?.dropped ?? {}).reduce((sum, count) => sum + count, 0);
    expect(report?.read).toBe((report?.kept ?? 0) + dropped);
    expect(mix.manifest.tokens).toBeLessThanOrEqual(2048);
    expect(mix.manifest.tokens).toBeGreaterThan(1900);
  });

  it('attributes headers of the plain template to the messages they frame, whatever the tokenizer', async () => {
    const { mix } = await build(rows(said('The ferry leaves at nine, and nobody sails hungry.')), {
      tokenizer: await loadTokenizer({ encoding: 'o200k_base' }),
      chatTemplate: await loadChatTemplate(null),
      modelVocabularySize: null,
    });
    expect(mix.manifest.stages.rendered).toMatchObject({ system: 0, tool: 0, text: 0 });
  });

  it('gives every language its share', async () => {
    const { mix } = await build(builtin(), {
      tokens: 16_384,
      languageWeights: new Map([
        ['el', 3],
        ['default', 1],
      ]),
    });
    const { el, de, fr } = mix.manifest.languages;
    expect(el?.tokens ?? 0).toBeGreaterThan(1.8 * (de?.tokens ?? 0));
    expect(de?.tokens ?? 0).toBeGreaterThan(0);
    expect(fr?.channels.assistant).toBeGreaterThan(0);
  });

  it('reports the rows whose text is in another language than they declare', async () => {
    const greek = 'Το πλοίο για την Αίγινα φεύγει στις εννιά, και ο φούρνος στην προκυμαία ανοίγει πολύ νωρίτερα.';
    const { events, mix } = await build(rows(said(greek)));
    expect(events).toContainEqual({
      type: 'kept',
      source: 's',
      recordId: '0',
      reason: 'language',
      detail: 'declared en, identified assistant el',
    });
    expect(mix.manifest.sources[0]?.flaws).toEqual({ language: 1 });
    expect(mix.manifest.identification).toEqual({ en: { el: 1 } });
  });

  it('takes a label of the language without its script for the same, and one of no language for none', async () => {
    const serbian =
      'Брод за острво полази у девет сати ујутро из луке, а путовање траје око сат и десет минута ако је море мирно.';
    async function* labelled(): AsyncGenerator<Sample> {
      for (const [index, language] of ['sr', 'multilingual', 'und', null].entries()) {
        for await (const sample of rows(said(`${index}. ${serbian}`))) {
          yield { ...sample, language, origin: { ...sample.origin, recordId: String(index) } };
        }
      }
    }
    const { mix } = await build(labelled(), { clean: { ...CLEAN, nearDuplicates: 'off' } });
    expect(mix.manifest.identification).toEqual({ sr: { sr: 1 }, und: { 'sr-Cyrl': 3 } });
    expect(mix.manifest.languages).toMatchObject({ sr: { samples: 1 }, 'sr-Cyrl': { samples: 3 } });
    expect(mix.remarks).toEqual([
      {
        source: 's',
        row: '1',
        fate: 'kept',
        reason: 'language',
        detail: 'declared "multilingual", which names no language; identified sr-Cyrl',
      },
    ]);
  });

  it('drops what is too long only when told to, and says what each rule would cost', async () => {
    const long = said(Array.from({ length: 400 }, (_, index) => `Item ${index} differs.`).join(' '));
    const { mix } = await build(rows(long, said('A short answer that fits in a window.')), {
      overflow: 'drop',
      tokens: null,
    });
    expect(mix.manifest.sources[0]?.dropped).toEqual({ too_long: 1 });
    expect(mix.manifest.lengths).toMatchObject({ samples: 2, overLength: 1, droppedByAutoAwq: 1 });
    expect(mix.manifest.lengths.overflowCost.drop).toBe(mix.manifest.lengths.max);
    expect(mix.manifest.stages.kept.assistant).toBeLessThan(mix.manifest.stages.rendered.assistant);
    const { mix: windowed } = await build(rows(long), { tokens: null });
    expect(windowed.manifest.lengths.overflowCost.window).toBe(0);
    expect(windowed.manifest.lengths.overflowCost.drop).toBe(windowed.manifest.tokens);
    expect(windowed.manifest.lengths.droppedByAutoAwq).toBe(1);
  });

  it('refuses a row that its template refuses, an id that the model lacks, and an empty mix', async () => {
    await expect(build(rows([{ role: 'user', content: 'x' }]), { chatTemplate: null })).rejects.toThrow(
      'Cannot render row "0" of "s"',
    );
    const { mix } = await build(rows(said('It leaves at nine.'), said('No.')), {
      modelVocabularySize: 300,
      tokens: null,
      skipRefusedOf: new Set(['s']),
      clean: NO_CLEANING,
    }).catch((error: unknown) => ({ mix: error }));
    expect(String(mix)).toContain('2 of "s" out of vocabulary');
    await expect(build(builtin(), { modelVocabularySize: 100 })).rejects.toThrow(
      "is outside the model's vocabulary of 100",
    );
    await expect(build(rows())).rejects.toThrow('Cannot build a mix: its sources have no rows');
    await expect(build(rows(said('loop '.repeat(400))))).rejects.toThrow(
      'none of 1 rows is left (1 of "s" degenerate)',
    );
  });

  it('chooses anew from its pool, reports recounted', async () => {
    const { mix } = await build(builtin(), { pool: 4 });
    const chosen = mix.withSequences(mix.pool.slice(0, 3));
    expect(chosen.manifest.sequences).toBe(3);
    expect(chosen.manifest.sources[0]?.kept).toBe(new Set(mix.pool.slice(0, 3).map(({ recordId }) => recordId)).size);
  });

  it('is the same mix with workers', async () => {
    const plan = {
      tokenizer: MODEL,
      model: MODEL,
      templateFile: null,
      modelVocabularySize: 16_384,
      sequenceLength: 256,
      overflow: 'window' as const,
      templateArguments: {},
      template: null,
      date: null,
      clean: CLEAN,
      contamination: null,
    };
    const [here, there] = [
      await build(builtin()),
      await build(builtin(), { workers: { count: Math.min(2, availableParallelism()), plan, after: 20_000 } }),
    ];
    expect(there.mix.manifest).toEqual(here.mix.manifest);
    expect(there.mix.sequences).toEqual(here.mix.sequences);
    expect(there.mix.remarks).toEqual(here.mix.remarks);
  });
});

describe('writeMix()', () => {
  it('writes the same bytes for the same recipe and seed, others for another seed', async () => {
    const paths = ['a', 'b', 'c'].map((name) => join(folder, name));
    for (const [index, path] of paths.entries()) {
      const { mix } = await build(builtin(), { seed: index === 2 ? 7 : 42 });
      await writeMix(path, mix, options.tokenizer);
    }
    const [a, b, c] = await Promise.all(paths.map(bytesOf));
    expect(Object.keys(a ?? {})).toEqual([
      'data-00000-of-00001.arrow',
      'dataset_info.json',
      'manifest.json',
      'mix.parquet',
      'remarks.jsonl',
      'state.json',
    ]);
    expect(a).toEqual(b);
    expect(a?.['mix.parquet']).not.toBe(c?.['mix.parquet']);
  });

  it('is read back as it was', async () => {
    const { mix } = await build(builtin());
    await writeMix(join(folder, 'back'), mix, options.tokenizer);
    const back = await readMix(join(folder, 'back'));
    expect(back.sequences).toEqual(mix.sequences);
    expect(back.manifest).toEqual(JSON.parse(JSON.stringify(mix.manifest)));
  });
});

describe('readMix()', () => {
  it('takes a folder whose writing did not end for no mix', async () => {
    const { mix } = await build(builtin());
    const path = join(folder, 'cut');
    await writeMix(path, mix, options.tokenizer);
    await rm(join(path, 'manifest.json'));
    await expect(readMix(path)).rejects.toThrow('it has no manifest.json; is it a mix folder, and did its build end?');
    await writeFile(join(path, 'manifest.json'), JSON.stringify({ ...mix.manifest, sequences: 1 }));
    await expect(readMix(path)).rejects.toThrow('the manifest counts 1 sequences');
    await writeFile(join(path, 'mix.parquet'), 'PAR1 nonsense');
    await expect(readMix(path)).rejects.toThrow(`Cannot read "${join(path, 'mix.parquet')}"`);
    await expect(readMix(join(folder, 'nowhere'))).rejects.toThrow('there is no such file or folder');
  });

  it('reads lines of input_ids as they are', async () => {
    const path = join(folder, 'ids.jsonl');
    await writeFile(path, '{"input_ids": [1, 2, 3], "language": "ell", "category": "prose"}\n\n{"input_ids": [4]}\n');
    expect(await holdsTokenIds(path)).toBe(true);
    const { sequences, manifest } = await readMix(path);
    expect(manifest).toBeNull();
    expect(
      sequences.map(({ inputIds, language, category, recordId }) => ({
        ids: [...inputIds],
        language,
        category,
        recordId,
      })),
    ).toEqual([
      { ids: [1, 2, 3], language: 'el', category: 'prose', recordId: '1' },
      { ids: [4], language: 'und', category: 'uncategorized', recordId: '3' },
    ]);
  });

  it.each([
    ['{"input_ids": [1, -2]}', ':1: Cannot use the row: input_ids.1'],
    ['{"input_ids": [1]}\n{"ids": [1]}', ':2: Cannot use the row: input_ids'],
    ['{"input_ids": [1', ':1: Cannot parse the row as JSON'],
    ['\n', 'it has no rows'],
  ])('refuses %j at its line', async (content, message) => {
    const path = join(folder, 'bad.jsonl');
    await writeFile(path, content);
    await expect(readMix(path)).rejects.toThrow(message);
  });
});

describe('rows that must be in the mix', () => {
  const talk = Array.from({ length: 40 }, (_, i) =>
    said(`An answer of its own kind, number ${i * 7919}: ${'word '.repeat(i)}`),
  );
  const must = (...ids: string[]) => new Map([['s', new Set(ids)]]);

  it('are in it whatever the draw', async () => {
    for (const id of ['0', '17', '39']) {
      const { mix } = await build(rows(...talk), { tokens: 300, clean: NO_CLEANING, mustInclude: must(id) });
      expect(mix.sequences.map(({ recordId }) => recordId)).toContain(id);
    }
  });

  it('are named when they are not there, or are dropped', async () => {
    await expect(build(rows(...talk), { clean: NO_CLEANING, mustInclude: must('3', 'x') })).rejects.toThrow(
      'Cannot include "x" of "s": wanted rows that were read and kept, such as "0"',
    );
    const looped = said('over and over and over again '.repeat(100));
    await expect(build(rows(...talk, looped), { mustInclude: must('40') })).rejects.toThrow(
      /Cannot include "40" of "s": degenerate \(compresses to/,
    );
  });
});
