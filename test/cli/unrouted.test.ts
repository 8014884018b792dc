import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { evenkeel, MODEL } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-unrouted-'));

interface Cell {
  readonly layer: number;
  readonly expert: number;
}

interface Document {
  readonly schema: string;
  readonly unrouted: readonly Cell[];
  readonly cells: readonly (Cell & { readonly tokens: number; readonly shrinkageWeight: number })[];
}

interface Coverage {
  readonly layers: readonly { readonly layer: number; readonly routed: readonly number[] }[];
}

function readJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}

/** √(‖Δ‖² / ‖W‖²) of a weight that no smoothing edge touched. */
function weightError(output: string, module: string): number {
  const [ours, model] = [openCheckpoint(output), openCheckpoint(MODEL)];
  const [got, wanted] = [ours.read(`${module}.weight`), model.read(`${module}.weight`)];
  ours.close();
  model.close();
  let [error, signal] = [0, 0];
  for (const [i, value] of wanted.entries()) {
    error += (got[i]! - value) ** 2;
    signal += value ** 2;
  }
  return Math.sqrt(error / signal);
}

/** 96 tokens for 128 cells, top 4: some expert of every layer gets none. */
const RUNS = [
  ['routed', false, 'none', 'by their weights alone'],
  ['routed', true, 'none', 'by their weights alone'],
  ['shrink', false, 'layer', "with their layer's statistics"],
  ['all', false, 'layer', "with their layer's statistics"],
] as const;

describe('an expert that no token was routed to', () => {
  it.each(RUNS)('experts: %s, follow_drift: %s', async (experts, drift, statistics, sentence) => {
    const name = `${experts}-${drift}`;
    const recipe = join(folder, `${name}.yaml`);
    writeFileSync(
      recipe,
      `model: ${MODEL}
mix: {tokens: 96, sequence_length: 96, sources: [{dataset: 'builtin:coding-agent'}]}
balance: {floor: 1, pool: 1}
quantize: {experts: ${experts}, follow_drift: ${drift}}
output: ./${name}
`,
    );
    const { code, stdout, stderr } = await evenkeel(['quantize', recipe]);
    expect(code, stderr).toBe(0);
    const output = join(folder, name);
    const document = readJson(output, 'evenkeel.json') as Document;
    expect(document.schema).toBe('evenkeel.quantization/1');
    const empty = document.cells
      .filter(({ tokens }) => tokens === 0)
      .map(({ layer, expert }): Cell => ({ layer, expert }));
    expect(new Set(empty.map(({ layer }) => layer)).size).toBe(4);
    // Following the drift, tokens are routed as the quantized layers before would have it; coverage counts the model's own.
    if (!drift) {
      const coverage = readJson(folder, `${name}-mix`, 'coverage.json') as Coverage;
      const uncovered = coverage.layers.flatMap(({ layer, routed }) =>
        routed.flatMap((tokens, expert): Cell[] => (tokens === 0 ? [{ layer, expert }] : [])),
      );
      expect(empty).toEqual(uncovered);
    }
    expect(document.unrouted).toEqual(empty.map((cell) => ({ ...cell, statistics })));
    expect(document.cells).toHaveLength(128);
    for (const { layer, expert } of empty) {
      const cell = document.cells.find((other) => other.layer === layer && other.expert === expert)!;
      expect(cell.shrinkageWeight).toBe(statistics === 'layer' ? 1 : 0);
    }

    const page = readFileSync(join(folder, `${name}-mix`, 'report.html'), 'utf8');
    const named = `No token was routed to ${empty.length} experts: layer 0 expert`;
    for (const text of [stdout.replaceAll(/\s+/g, ' '), page.replaceAll('&#39;', "'")]) {
      expect(text).toContain(named);
      expect(text).toContain(sentence);
    }
    // Only under drift are downs not smoothed, and can be compared as they are. Error feedback moves weights further than
    // rounding would (a tenth), for the sake of outputs; what is not the expert's weight at all is off by more than itself.
    if (!drift) return;
    for (const { layer, expert } of empty)
      expect(weightError(output, `model.layers.${layer}.mlp.experts.${expert}.down_proj`)).toBeLessThan(0.4);
  });

  it('leaves a checkpoint that verifies, with every expert in one format', async () => {
    const verified = await evenkeel(['verify', join(folder, 'routed-false'), '--model', MODEL]);
    expect(verified.stdout).toMatch(/is sound/);
  });
});
