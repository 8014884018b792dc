import { expect, test } from 'vitest';
import type { Scheme } from '../../src/awq/scheme.js';
import type { LayerReport } from '../../src/engine/layer-report.js';
import { commonestScheme, quantizationResult } from '../../src/pipeline/quantization-result.js';

const W4: Scheme = { bits: 4, symmetric: true, groupSize: 128 };
const W8: Scheme = { bits: 8, symmetric: true, groupSize: 'channel' };
const targets = {
  quantized: new Map([
    ['q', W8],
    ['gate', W4],
    ['up', W4],
  ]),
  kept: new Map<string, string>(),
  fallbacks: new Map<string, string>(),
};
const report: LayerReport = {
  layer: 3,
  edges: [{ edge: 'input_norm → mixer', ratio: null, lossBefore: 2, loss: 2 }],
  linears: [],
  experts: [
    {
      expert: 0,
      tokens: 96,
      ownShare: 0.25,
      downRatio: 0.5,
      downLossBefore: 4,
      downLoss: 3,
      relativeErrors: [0.3, 0.4],
    },
    { expert: 1, tokens: 0, ownShare: 0, downRatio: null, downLossBefore: 0, downLoss: 0, relativeErrors: [0.1, 0.1] },
  ],
  languageErrors: { ka: 0.2, el: 0.1 },
};

test('a document tells schemes, edges, cells, experts without tokens and languages', () => {
  const result = quantizationResult({ reports: [report], targets }, { experts: 'shrink', shrinkage: 288 }, 'autoawq');
  expect(result).toEqual({
    schema: 'evenkeel.quantization/1',
    scheme: 'W4A16, symmetric, group 128; W8A16, symmetric, by channel',
    schemes: { 'W4A16, symmetric, group 128': 2, 'W8A16, symmetric, by channel': 1 },
    format: 'autoawq',
    edges: [
      { name: 'layer 3: input_norm → mixer', ratio: null, lossBefore: 2, loss: 2 },
      { name: 'layer 3, expert 0: up → down', ratio: 0.5, lossBefore: 4, loss: 3 },
    ],
    cells: [
      { layer: 3, expert: 0, tokens: 96, shrinkageWeight: 0.75, relativeError: Math.sqrt(0.125), downRatio: 0.5 },
      { layer: 3, expert: 1, tokens: 0, shrinkageWeight: 1, relativeError: expect.closeTo(0.1), downRatio: null },
    ],
    unrouted: [{ layer: 3, expert: 1, statistics: 'layer' }],
    languageErrors: { languages: ['el', 'ka'], layers: [3], relativeError: [[0.1], [0.2]] },
  });
  expect(commonestScheme(targets)).toEqual(W4);
});

test.each([
  ['routed', 4096],
  ['shrink', 0],
] as const)('without κ (%s, %d), an expert without tokens has no statistics', (experts, shrinkage) => {
  const { cells, unrouted } = quantizationResult({ reports: [report], targets }, { experts, shrinkage }, 'autoawq');
  expect(cells.map(({ shrinkageWeight }) => shrinkageWeight)).toEqual([0, 0]);
  expect(unrouted).toEqual([{ layer: 3, expert: 1, statistics: 'none' }]);
});
