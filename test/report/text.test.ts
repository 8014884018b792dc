import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coverageStability } from '../../src/coverage/stability.js';
import { renderHtml } from '../../src/report/html.js';
import { escapeMarkdown, renderMarkdown } from '../../src/report/markdown.js';
import { renderTerminal } from '../../src/report/terminal.js';
import { displayWidth, shorten, tableLines } from '../../src/report/terminal-table.js';
import { figure, languageName, listing, milliNats, percent, plain } from '../../src/report/text.js';
import { adviceOf } from '../../src/report/verdict-sentences.js';
import { sampleBalance, sampleCoverage, sampleEvaluation, sampleFixes, sampleQuantization } from './sample-data.js';

const LANGUAGES = ['el', 'en', 'ka', 'ja', 'sr-Cyrl'];
const coverage = sampleCoverage({ layers: 4, experts: 32, topK: 4, languages: LANGUAGES, sequences: 24 });
const data = {
  coverage,
  fixes: sampleFixes(coverage),
  evaluation: sampleEvaluation(LANGUAGES, 0.05),
  baselineEvaluation: sampleEvaluation(LANGUAGES.toReversed(), 0.051),
  quantization: sampleQuantization(coverage),
  stability: coverageStability([coverage, coverage]),
};

describe('renderTerminal()', () => {
  test('begins with the verdict and ends with the paths', () => {
    const text = renderTerminal(data, { paths: { report: 'out/report.html', mix: 'out/mix' } });
    expect(text).toMatch(/^FAIL {2}\d+ of 128 cells get fewer than 64 routed tokens/);
    expect(text).toMatch(/report {2}out\/report\.html\nmix {5}out\/mix\n$/);
  });

  test.each([40, 60, 80, 100, 200])('keeps within %i columns', (width) => {
    for (const line of renderTerminal(data, { width }).split('\n'))
      expect(displayWidth(line)).toBeLessThanOrEqual(width);
  });

  test('marks every cell: empty, under the floor, or at least there', () => {
    const lines = renderTerminal(data)
      .split('\n')
      .filter((line) => /^layer \d+ {2}/.test(line));
    expect(lines).toHaveLength(4);
    lines.forEach((line, l) => {
      const marks = Array.from(line.replace(/^layer \d+ +/, ''));
      expect(marks).toHaveLength(32);
      marks.forEach((mark, e) => {
        const routed = coverage.layers[l]!.routed[e]!;
        expect(mark === '0').toBe(routed === 0);
        expect(mark === '!').toBe(routed > 0 && routed < 64);
      });
    });
  });

  test('where there is no room, a mark stands for the least-fed of several cells', () => {
    const wide = sampleCoverage({ layers: 60, experts: 64, topK: 1, languages: ['en'], sequences: 4 });
    const lines = renderTerminal({ coverage: wide }, { width: 60 }).split('\n');
    const marks = lines
      .filter((line) => /^layer \d+–\d+/.test(line))
      .map((line) => Array.from(line.slice(line.lastIndexOf(' ') + 1)));
    expect(marks).toHaveLength(30);
    const first = wide.layers.slice(0, 2).flatMap(({ routed }) => routed.slice(0, 2));
    expect(marks[0]![0]).toBe(Math.min(...first) === 0 ? '0' : '!');
    expect(lines.join(' ')).toContain('each mark: the least of 4 cells');
  });

  test('colours only when asked', () => {
    expect(renderTerminal(data)).not.toContain('\u001b');
    expect(renderTerminal(data, { color: true })).toContain('\u001b[31mFAIL\u001b[0m');
  });

  test('names in a data set cannot steer the terminal', () => {
    const evil = sampleCoverage({
      layers: 1,
      experts: 8,
      topK: 2,
      languages: ['\u001b[2Jx\u202e', 'el'],
      sequences: 6,
    });
    const text = renderTerminal({ coverage: { ...evil, model: { path: '\u0007', architecture: '\u009b31m' } } });
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('says where quantization is worse than rounding to nearest', () => {
    expect(renderTerminal(data)).toMatch(/rounding to nearest \(\d+\.\d\); worse in /);
  });
});

describe('adviceOf()', () => {
  const labels = (facts: Parameters<typeof adviceOf>[0]): string =>
    adviceOf(facts)
      .map(({ label }) => label)
      .join(' ');
  const english = sampleCoverage({ layers: 2, experts: 16, topK: 2, languages: ['en'], sequences: 3, floors: {} });
  const several = { ...coverage, failures: coverage.failures.filter(({ kind }) => kind === 'cells') };

  test('of a mix in one language names the cause, and asks for a pool', () => {
    expect(english.summary.underFloor).toBeGreaterThan(0);
    expect(labels({ coverage: english })).toMatch(/^Why Add (?:Or )?Next$/);
    expect(adviceOf({ coverage: english })[0]!.text).toContain('All of the text is English');
  });

  test('names what a pool offers, in place of guesses', () => {
    const fixes = sampleFixes(several);
    const [add, ...rest] = adviceOf({ coverage: several, fixes });
    expect(add).toMatchObject({ label: 'Add' });
    expect(add!.text).toMatch(
      /^About 1,800 tokens of Georgian from builtin:multilingual-dialogues, which brings \d+ of the \d+ cells/,
    );
    expect(rest.some(({ label }) => label === 'Next')).toBe(false);
  });

  test('names languages and channels that are short, but not twice', () => {
    const failures = [
      { kind: 'language', language: 'ka', tokens: 10, floor: 100 },
      { kind: 'channel', channel: 'tool', tokens: 0, floor: 50 },
      { kind: 'length', median: 9, floor: 20 },
    ] as const;
    const dense = { ...coverage, failures, summary: { ...coverage.summary, underFloor: 0 } };
    expect(adviceOf({ coverage: dense })).toEqual([
      { label: 'Add', text: '90 tokens of Georgian, 50 tokens in the channel tool and longer sequences.' },
    ]);
    const fixes = { ...sampleFixes(coverage), cells: [], unfed: 0 };
    expect(adviceOf({ coverage: dense, fixes })).toEqual([
      { label: 'Add', text: 'About 1,800 tokens of Georgian from builtin:multilingual-dialogues.' },
      { label: 'Add', text: '50 tokens in the channel tool and longer sequences.' },
    ]);
  });

  test('where rows were chosen already, says what budget and quotas keep out', () => {
    expect(adviceOf({ coverage: several, balance: sampleBalance(several) })[0]).toEqual({
      label: 'Add',
      text: '100 tokens more of the pool (1 sequence) would bring it there: raise mix.tokens, or the quotas that keep them out.',
    });
  });

  test('of a mix that passes is silent', () => {
    expect(adviceOf({ coverage: { ...coverage, verdict: 'pass' } })).toEqual([]);
  });
});

test('all three reports tell how rows were chosen, and what nothing can feed', () => {
  const chosen = { coverage, balance: sampleBalance(coverage) };
  for (const text of [renderTerminal(chosen, { width: 800 }), renderMarkdown(chosen), renderHtml(chosen)]) {
    expect(text).toContain(
      'chosen for balance out of 400 by the first 128 tokens of each, of which the quality gate refused 4 (3 looped, 1 copy)',
    );
    expect(text).toContain('Nothing in the pool can bring 1 cell to the floor of 64: layer 1 expert 2 (at most 9).');
  }
});

test('all three reports judge channels', () => {
  const short = sampleCoverage({
    layers: 1,
    experts: 8,
    topK: 2,
    languages: ['el', 'en'],
    sequences: 8,
    floors: { tool: 1_000_000 },
  });
  expect(short.failures).toContainEqual(expect.objectContaining({ kind: 'channel', channel: 'tool' }));
  expect(renderTerminal({ coverage: short })).toMatch(/floor of a channel .* 1,000,000/);
  expect(renderMarkdown({ coverage: short })).toMatch(/\| all \|.*\(under 1,000,000\)/);
  expect(renderHtml({ coverage: short })).toMatch(/class="low">[\d,]+ \(under 1,000,000\)/);
});

test('a mix that no model saw is not said to pass', () => {
  const dense = sampleCoverage({ layers: 0, experts: 8, topK: 2, languages: ['el'], sequences: 8, floors: {} });
  const page = renderHtml({ coverage: { ...dense, verdict: 'pass', failures: [] }, isUncounted: true });
  expect(page).toContain('NOT AUDITED');
  expect(page).not.toContain('✓ PASS');
});

test('all three reports tell of other seeds', () => {
  for (const text of [renderTerminal(data, { width: 500 }), renderMarkdown(data), renderHtml(data)]) {
    expect(text).toContain('Over 2 seeds: ');
  }
});

test('all three reports tell what a pool lacks', () => {
  for (const text of [renderTerminal(data), renderMarkdown(data), renderHtml(data)]) {
    expect(text).toContain('Georgian: 900 tokens missing, the pool has none.');
  }
});

describe('renderMarkdown()', () => {
  test('every table row has as many cells as its head', () => {
    const tables = renderMarkdown(data)
      .trimEnd()
      .split('\n\n')
      .filter((block) => block.startsWith('|'));
    expect(tables.length).toBeGreaterThanOrEqual(4);
    for (const table of tables) {
      const cells = table.split('\n').map((line) => line.replaceAll(/\\./g, '').split('|').length);
      expect(new Set(cells).size).toBe(1);
    }
  });

  test('escapes what would be markup', () => {
    expect(escapeMarkdown('a|b <x> [y](z) *c* `d`')).toBe('a\\|b \\<x\\> \\[y\\](z) \\*c\\* \\`d\\`');
  });
});

test('tableLines() never exceeds its width as long as the first column fits', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.string(), { minLength: 3, maxLength: 3 })),
      fc.integer({ min: 10, max: 80 }),
      (rows, width) => {
        const columns = [{ title: 'a' }, { title: 'b' }, { title: 'c', align: 'right' } as const];
        for (const line of tableLines(
          columns,
          rows.map(([a, ...rest]) => [shorten(a!, 10), ...rest]),
          width,
        )) {
          expect(displayWidth(line)).toBeLessThanOrEqual(width);
        }
      },
    ),
  );
});

test('tableLines() leaves out optional columns before any other', () => {
  const columns = [{ title: 'a' }, { title: 'bbbb', optional: 2 }, { title: 'cccc', optional: 1 }, { title: 'd' }];
  const row = ['1', '2', '3', '4'];
  expect(tableLines(columns, [row], 20)[0]).toBe('a  bbbb  cccc  d');
  expect(tableLines(columns, [row], 15)[0]).toBe('a  cccc  d');
  expect(tableLines(columns, [row], 8)[0]).toBe('a  d');
  expect(tableLines(columns, [row], 1)[0]).toBe('a');
});

test('figures read as people write them', () => {
  expect([figure(0), figure(0.0123456), figure(12.345), figure(12_345.6), figure(1e7), figure(Number.NaN)]).toEqual([
    '0',
    '0.0123',
    '12.3',
    '12,346',
    '1.00e+7',
    '–',
  ]);
  expect(percent(-0.2)).toBe('−20.0\u00a0%');
  expect(milliNats(0.0468)).toBe('46.8');
  expect(languageName('el')).toBe('Greek');
  expect(languageName('not a tag')).toBe('not a tag');
  expect(listing(['a', 'b', 'c'])).toBe('a, b and c');
  expect(plain('a\u001b[0m\nb')).toBe('a�[0m�b');
});
