import type { Coverage } from '../coverage/coverage.js';
import type { FixList } from '../coverage/fixes.js';
import type { Stability } from '../coverage/stability.js';
import type { BalanceReport } from '../mix/balance-report.js';
import type { MixManifest } from '../mix/sequence.js';

/** Everything a report can show; only coverage is always there. */
export interface ReportData {
  readonly coverage: Coverage;
  readonly manifest?: MixManifest;
  readonly evaluation?: EvaluationResult;
  /** The same text on the same scheme, rounded to nearest. */
  readonly baselineEvaluation?: EvaluationResult;
  readonly quantization?: QuantizationResult;
  readonly fixes?: FixList;
  /** The same recipe audited with several seeds. */
  readonly stability?: Stability;
  /** How the rows were chosen, where the draw alone did not hold. */
  readonly balance?: BalanceReport;
  /** The model has experts, perhaps, but nobody counted what they get. */
  readonly isUncounted?: boolean;
}

/** What a report reads of `evaluation.json`, schema `evenkeel.evaluation/1`. */
export interface EvaluationResult {
  readonly groups: Readonly<Record<string, EvaluationGroup>>;
  readonly mean: Pick<EvaluationGroup, 'kl'> & Partial<EvaluationGroup>;
}

export interface EvaluationGroup {
  readonly sequences: number;
  readonly tokens: number;
  readonly perplexity: number;
  readonly quantizedPerplexity: number;
  /** Nats per token. */
  readonly kl: number;
  readonly klCi95: readonly [low: number, high: number];
  /** Part of the positions where both models put the same token first, 0…1. */
  readonly top1: number;
}

/** What a report reads of `evenkeel.json`. */
export interface QuantizationResult {
  readonly scheme: string;
  readonly format: string;
  readonly edges: readonly EdgeResult[];
  /** Experts that a router chooses; empty for a dense model. */
  readonly cells: readonly CellResult[];
  /** Relative output error √(‖ΔX‖² / ‖WX‖²) by language and layer; null where it was not measured. */
  readonly languageErrors: LanguageErrors | null;
}

export interface EdgeResult {
  readonly name: string;
  /** Exponent r of the activations; null for the identity. */
  readonly ratio: number | null;
  /** Loss without smoothing, and with the chosen scales. */
  readonly lossBefore: number;
  readonly loss: number;
}

export interface CellResult {
  readonly layer: number;
  readonly expert: number;
  readonly tokens: number;
  /** Part of the cell's statistics that comes from its layer, κ / (n + κ), 0…1. */
  readonly shrinkageWeight: number;
  readonly relativeError: number;
}

export interface LanguageErrors {
  readonly languages: readonly string[];
  readonly layers: readonly number[];
  /** [languages][layers] */
  readonly relativeError: readonly (readonly number[])[];
}
