import type { FixList } from '../../src/coverage/fixes.js';
import { createCoverageCounter } from '../../src/coverage/count.js';
import type { BalanceReport } from '../../src/mix/balance-report.js';
import type { EvaluationResult, QuantizationResult, ReportData } from '../../src/report/report-data.js';
import { randomFrom, syntheticRouting, syntheticSequences } from '../coverage/synthetic.js';

export interface SampleDataOptions {
  readonly layers: number;
  readonly experts: number;
  readonly topK: number;
  readonly languages: readonly string[];
  readonly sequences: number;
  readonly floor?: number;
  readonly floors?: Readonly<Record<string, number>>;
}

export function sampleCoverage(options: SampleDataOptions): ReportData['coverage'] {
  const { layers, experts, topK, languages, floor = 64, floors = { el: 200, ka: 2000 } } = options;
  const sequences = syntheticSequences({
    seed: 5,
    sequences: options.sequences,
    length: 512,
    languages,
    sources: [
      'builtin:coding-agent',
      'builtin:multilingual-dialogues',
      'droussis/multilingual_multiturn_agentic_calibration_data',
    ],
    categories: ['chat', 'coding_agent', 'terminal_agent'],
    windows: 2,
  });
  const counter = createCoverageCounter({ sequences, floor, floors });
  for (let layer = 0; layer < layers; layer++) counter.add(syntheticRouting(sequences, layer, experts, topK));
  return counter.finish({ model: { path: 'models/polyglot', architecture: 'Qwen3MoeForCausalLM' } });
}

export function sampleEvaluation(languages: readonly string[], level: number): EvaluationResult {
  const random = randomFrom(9);
  const groups = Object.fromEntries(
    languages.map((language) => {
      const kl = level * (0.7 + random() * 0.6);
      const perplexity = 20 + random() * 30;
      return [
        language,
        {
          sequences: 8,
          tokens: 4096,
          perplexity,
          quantizedPerplexity: perplexity * (1 + kl),
          kl,
          klCi95: [kl * 0.93, kl * 1.08] as const,
          top1: 0.97 - kl,
        },
      ];
    }),
  );
  const all = Object.values(groups);
  return { groups, mean: { kl: all.reduce((sum, { kl }) => sum + kl, 0) / all.length } };
}

export function sampleQuantization(coverage: ReportData['coverage']): QuantizationResult {
  const random = randomFrom(11);
  const languages = Object.keys(coverage.languages);
  return {
    scheme: 'W4A16',
    format: 'compressed-tensors',
    edges: coverage.layers.flatMap(({ layer }) =>
      ['input_layernorm', 'post_attention_layernorm', 'v_proj', 'up_proj'].map((edge) => {
        const lossBefore = random();
        const i = Math.floor(random() * 21);
        const ratio = i === 20 ? null : i / 19;
        return { name: `model.layers.${layer}.${edge}`, ratio, lossBefore, loss: lossBefore * (0.6 + 0.4 * random()) };
      }),
    ),
    cells: coverage.layers.flatMap(({ layer, routed }) =>
      routed.map((tokens, expert) => ({
        layer,
        expert,
        tokens,
        shrinkageWeight: 4096 / (tokens + 4096),
        relativeError: 0.05 + 0.1 / Math.sqrt(1 + tokens) + 0.02 * random(),
      })),
    ),
    languageErrors: {
      languages,
      layers: coverage.layers.map(({ layer }) => layer),
      relativeError: languages.map(() => coverage.layers.map((_, l) => 0.04 + 0.05 * random() + 0.01 * l)),
    },
  };
}

export function sampleFixes(coverage: ReportData['coverage']): FixList {
  const kind = { source: 'builtin:multilingual-dialogues', language: 'ka', category: 'chat' };
  const cells = coverage.worst.filter(({ routed }) => routed < coverage.floor);
  return {
    floor: coverage.floor,
    cells: cells.map(({ layer, expert, routed }, i) => ({
      layer,
      expert,
      routed,
      missing: coverage.floor - routed,
      feeders: i === 0 ? [] : [{ ...kind, perThousand: 12.3, available: 400, tokensNeeded: 2000 }],
    })),
    unfed: Math.min(1, cells.length),
    languages: [{ language: 'ka', missing: 900, available: 0 }],
    additions: [{ ...kind, sequences: 4, tokens: 1800, cellsClosed: cells.length - 1 }],
    tokens: 1800,
    change: null,
    refused: 0,
    recipePatch: 'mix:\n  sources:\n    - dataset: builtin:multilingual-dialogues\n',
  };
}

export function sampleBalance(coverage: ReportData['coverage']): BalanceReport {
  const name = {
    source: 'builtin:multilingual-dialogues',
    record: 'ka-1',
    window: 0,
    language: 'ka',
    category: 'chat',
    tokens: 100,
  };
  return {
    schema: 'evenkeel.balance/1',
    floor: coverage.floor,
    multiple: 2,
    pool: { sequences: 400, tokens: 200_000, looped: 3, copies: 1, prefix: 128 },
    tokens: 200,
    objective: 0.9,
    choices: [
      { ...name, reason: 'must', gain: 0.6 },
      { ...name, window: 1, reason: 'balance', gain: 0.3 },
    ],
    missing: [
      { layer: 1, expert: 2, routed: 5, available: 9 },
      { layer: 1, expert: 3, routed: 50, available: 900 },
    ],
    closing: [{ ...name, record: 'ka-2', gain: 14 }],
  };
}
