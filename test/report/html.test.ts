import { inflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { balanceOf, summarize } from '../../src/coverage/balance-metrics.js';
import type { Coverage } from '../../src/coverage/coverage.js';
import { decodeVarints } from '../../src/coverage/varint.js';
import { renderHtml } from '../../src/report/html.js';
import type { ReportData } from '../../src/report/report-data.js';
import { randomFrom } from '../coverage/synthetic.js';
import { sampleBalance, sampleCoverage, sampleEvaluation, sampleFixes, sampleQuantization } from './sample-data.js';

const LANGUAGES = ['el', 'en', 'ka', 'zh-Hans', 'und'];
let data: ReportData;
let html = '';
beforeAll(() => {
  const coverage = sampleCoverage({ layers: 3, experts: 24, topK: 2, languages: LANGUAGES, sequences: 20 });
  data = {
    coverage,
    fixes: sampleFixes(coverage),
    evaluation: sampleEvaluation(LANGUAGES, 0.05),
    baselineEvaluation: sampleEvaluation(LANGUAGES, 0.08),
    quantization: sampleQuantization(coverage),
  };
  html = renderHtml(data);
});

const pageSchema = z.object({
  lengths: z.array(z.number()),
  packed: z.string(),
  metrics: z.array(z.object({ key: z.string(), parts: z.number() })),
  languages: z.array(z.tuple([z.string(), z.string()])),
});

function pageDataOf(page: string) {
  const json = /<script type="application\/json" id="page-data">(.*?)<\/script>/s.exec(page)![1]!;
  const { lengths, packed, ...rest } = pageSchema.parse(JSON.parse(json));
  const count = lengths.reduce((a, b) => a + b, 0);
  const values = decodeVarints(inflateRawSync(Buffer.from(packed, 'base64')), count)!;
  let at = 0;
  return { ...rest, tables: lengths.map((length) => Array.from(values.subarray(at, (at += length)))) };
}

describe('renderHtml()', () => {
  test('says the verdict first, in one sentence', () => {
    const text = html
      .slice(html.indexOf('<body>'))
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ');
    expect(text).toMatch(
      /^ ?Skip the summary Calibration audit · Qwen3MoeForCausalLM · models\/polyglot ✕ FAIL \d+ of 72 cells get fewer than 64/,
    );
  });

  test('needs nothing from anywhere', () => {
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/(?:src|href)="(?!#)/);
    expect(html).not.toMatch(/https?:\/\/|@import|url\(/);
  });

  test('links, labels and descriptions point at what is there, once', () => {
    const ids = Array.from(html.matchAll(/ id="([^"]+)"/g), ([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const targets = Array.from(html.matchAll(/(?:href="#|aria-describedby=")([^"]+)"/g), ([, id]) => id);
    expect(targets.length).toBeGreaterThan(8);
    for (const target of targets) expect(ids).toContain(target);
  });

  test('carries every count exactly', () => {
    const { tables, metrics, languages } = pageDataOf(html);
    const { coverage, quantization } = data;
    expect(tables[0]).toEqual(coverage.layers.flatMap(({ routed }) => routed));
    expect(tables[1]).toEqual(coverage.layers.flatMap(({ samples }) => samples));
    languages.forEach(([tag], i) => {
      expect(tables[metrics.length + i]).toEqual(coverage.languages[tag]!.routed.flat());
    });
    const error = metrics.findIndex(({ key }) => key === 'error');
    quantization!.cells.forEach(({ relativeError }, i) => {
      expect(tables[error]![i]! / metrics[error]!.parts).toBeCloseTo(relativeError, 4);
    });
  });

  test('lets no markup of a data set through', () => {
    const attack = `"><img src=x onerror=alert(1)>'</script><script>alert(2)</script>`;
    const coverage = sampleCoverage({ layers: 1, experts: 8, topK: 2, languages: [attack, 'el'], sequences: 8 });
    const balance = sampleBalance(coverage);
    const page = renderHtml({
      coverage: {
        ...coverage,
        model: { path: attack, architecture: attack },
        worst: [{ ...coverage.worst[0]!, topSources: [attack] }],
      },
      fixes: { ...sampleFixes(coverage), recipePatch: `# ${attack}\nmix: {}\n` },
      evaluation: sampleEvaluation([attack], 0.1),
      balance: { ...balance, choices: [{ ...balance.choices[0]!, source: attack, record: attack, language: attack }] },
      quantization: {
        ...sampleQuantization(coverage),
        scheme: attack,
        edges: [{ name: attack, ratio: 0.5, lossBefore: 1, loss: 1 }],
      },
    });
    expect(page).not.toContain('<img');
    expect(page.match(/<script/g)).toHaveLength(2);
    expect(page.match(/<\/script>/g)).toHaveLength(2);
  });

  test('a dense model has no heat maps, and its languages decide', () => {
    const dense = sampleCoverage({ layers: 0, experts: 8, topK: 2, languages: ['el', 'en'], sequences: 8 });
    const page = renderHtml({ coverage: dense });
    expect(page).not.toContain('<canvas');
    expect(page).toContain('Georgian has 0 tokens of the 2,000 it should have');
  });

  test('stays under 5 MB for 94 layers × 512 experts × 40 languages', () => {
    const page = renderHtml({ coverage: bigCoverage(94, 512, 40) });
    expect(page.length).toBeLessThan(5e6);
  });
});

/** A large audit, drawn directly: every language's counts are Poisson-like around a skewed share. */
function bigCoverage(layers: number, experts: number, languages: number): Coverage {
  const base = sampleCoverage({ layers: 1, experts: 8, topK: 2, languages: ['el'], sequences: 4 });
  const random = randomFrom(3);
  const routedBy = Array.from({ length: languages }, () =>
    Array.from({ length: layers }, () => Array.from({ length: experts }, () => Math.floor(random() ** 4 * 400))),
  );
  const totals = Array.from({ length: layers }, (_, l) =>
    Array.from({ length: experts }, (_e, e) => routedBy.reduce((sum, routed) => sum + routed[l]![e]!, 0)),
  );
  return {
    ...base,
    layers: totals.map((routed, layer) => ({
      layer,
      experts,
      topK: 8,
      routed,
      samples: routed.map((count) => Math.min(count, 500)),
      gateMass: routed.map((count) => count * random()),
      balance: balanceOf(routed),
    })),
    languages: Object.fromEntries(
      routedBy.map((routed, i) => [
        `x-lang${i}`,
        {
          samples: 12,
          sequences: 12,
          tokens: 6000 + i,
          channels: { user: 6000 + i },
          routed,
          cellSamples: [],
          gateMass: [],
        },
      ]),
    ),
    summary: summarize(totals, 64),
  };
}
