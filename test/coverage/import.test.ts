import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { importImatrix } from '../../src/coverage/import-imatrix.js';
import { importMoeHtml } from '../../src/coverage/import-moe-html.js';
import { openGguf } from '../../src/coverage/gguf-file.js';
import { InputError } from '../../src/errors.js';
import { renderHtml } from '../../src/report/html.js';
import { renderMarkdown } from '../../src/report/markdown.js';
import { renderTerminal } from '../../src/report/terminal.js';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const routedSchema = z.record(z.string(), z.array(z.number()));
const expectedOf = <T>(name: string, schema: z.ZodType<T>): T =>
  schema.parse(JSON.parse(readFileSync(join(FIXTURES, name), 'utf8')));

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-import-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function temporary(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe('importImatrix()', () => {
  const path = join(FIXTURES, 'imatrix.gguf');
  const expected = expectedOf(
    'imatrix.json',
    z.object({ tokens: z.number(), topK: z.number(), routed: routedSchema, datasets: z.array(z.string()) }),
  );

  test('reads the counts that the gguf package wrote', async () => {
    const coverage = await importImatrix(path, 64);
    expect(coverage).toMatchObject({ tokens: expected.tokens, sequences: 3, verdict: 'fail', languages: {} });
    expect(coverage.layers.map(({ layer }) => layer)).toEqual([1, 2, 5]);
    for (const { layer, routed, topK, samples } of coverage.layers) {
      expect(routed).toEqual(expected.routed[layer]);
      expect(topK).toBe(expected.topK);
      expect(samples).toEqual([]);
    }
    expect(coverage.worst[0]).toMatchObject({ layer: 5, expert: 3, routed: 0, samples: null, topLanguages: [] });
    expect(coverage.summary.empty).toBe(1);
  });

  test('reads metadata and tensors as they stand', async () => {
    const file = await openGguf(path);
    expect(file.metadata.get('imatrix.datasets')).toEqual(expected.datasets);
    expect(file.tensors.size).toBe(24);
    expect(file.tensors.get('blk.1.ffn_up_exps.weight.in_sum2')).toMatchObject({ shape: [4, 8], type: 0 });
    await file.close();
  });

  test('refuses other files with one message', async () => {
    const bytes = readFileSync(path);
    await expect(importImatrix(join(folder, 'none.gguf'), 64)).rejects.toThrow('cannot be opened');
    await expect(importImatrix(await temporary('text', 'hello, world'), 64)).rejects.toThrow("begins with 'GGUF'");
    await expect(importImatrix(await temporary('cut', bytes.subarray(0, 900)), 64)).rejects.toThrow(
      'ends within its header',
    );
    await expect(importImatrix(await temporary('short', bytes.subarray(0, 2100)), 64)).rejects.toThrow(InputError);
    const bigEndian = Buffer.from(bytes);
    bigEndian.writeUInt32BE(3, 4);
    await expect(importImatrix(await temporary('big', bigEndian), 64)).rejects.toThrow('big-endian');
    const model = Buffer.from(bytes);
    model.write('weights', model.indexOf('imatrix', 0));
    await expect(importImatrix(await temporary('model', model), 64)).rejects.toThrow(
      'wanted general.type \'imatrix\', got "weights"',
    );
  });
});

describe('importMoeHtml()', () => {
  const html = gunzipSync(readFileSync(join(FIXTURES, 'model-optimizer.moe.html.gz'))).toString();

  test('reads the table that Model-Optimizer wrote', async () => {
    const { routed } = expectedOf('model-optimizer.json', z.object({ routed: routedSchema }));
    const coverage = await importMoeHtml(await temporary('.moe.html', html), 64);
    expect(Object.fromEntries(coverage.layers.map((layer) => [String(layer.layer), layer.routed]))).toEqual(routed);
    expect(coverage).toMatchObject({ tokens: 0, saturation: null, verdict: 'fail' });
  });

  test('refuses pages without the table, and ragged ones', async () => {
    await expect(importMoeHtml(await temporary('other.html', '<html></html>'), 64)).rejects.toThrow(
      "headed 'Layer/Expert'",
    );
    await expect(
      importMoeHtml(await temporary('empty.html', html.slice(0, html.indexOf('<tr><td>'))), 64),
    ).rejects.toThrow('no rows');
    const ragged = html.replace(/<td[^>]*>\d+<\/td>\n<\/tr>/, '</tr>');
    await expect(importMoeHtml(await temporary('ragged.html', ragged), 64)).rejects.toThrow('experts');
    await expect(importMoeHtml(join(folder, 'none.html'), 64)).rejects.toThrow('cannot be opened');
  });

  test('what nobody counted is not made up in the reports', async () => {
    const coverage = await importMoeHtml(await temporary('.moe.html', html), 64);
    for (const text of [renderTerminal({ coverage }), renderMarkdown({ coverage }), renderHtml({ coverage })]) {
      expect(text).toContain('Counted by Model-Optimizer');
      expect(text).not.toMatch(/fed by a single|0 samples|Tokens by language/i);
    }
  });
});
