export { CheckFailedError, InputError, InterruptedError, type Location } from './errors.js';
export { VERSION } from './version.js';

export type { Message, Origin, Sample, SampleContent, ToolCall } from './data/sample.js';
export { readSource } from './data/read-source.js';
export type { SourceEvent, SourceSpec } from './data/source-spec.js';

export { CHANNELS, type Channel, type Mix, type MixManifest, type Sequence } from './mix/sequence.js';
export { buildMix, type BuildEvent, type BuildOptions, type BuiltMix } from './mix/build.js';
export { readMix } from './mix/read.js';
export { writeMix } from './mix/write.js';

export { loadTokenizer } from './text/load-tokenizer.js';
export type { Tokenizer } from './text/tokenizer.js';
export { loadChatTemplate, type ChatTemplate } from './text/chat-template.js';

export { loadRecipe } from './recipe/load.js';
export type { Recipe } from './recipe/recipe.js';

export { openCheckpoint, type Checkpoint } from './checkpoint/open.js';
export { planModel } from './model/registry.js';
export type { LayerPlan, Linear, ModelPlan, SmoothingEdge } from './model/plan.js';
export { chooseTargets, type Targets } from './awq/targets.js';
export type { QuantizedLinear, Scheme } from './awq/scheme.js';

export type { Coverage } from './coverage/coverage.js';
export { suggestFixes, type FixList, type FixOptions } from './coverage/fix-list.js';
export { coverageStability, type Stability } from './coverage/stability.js';
export { auditSequences, type AuditOptions, type AuditResult } from './pipeline/audit.js';
export { auditPrefixes, type PrefixAuditOptions } from './pipeline/audit-prefix.js';
export { balanceMix, type BalancedMix, type BalanceMixOptions } from './pipeline/balance.js';
export { importCoverage } from './pipeline/import-coverage.js';
export { countRouting, type CountOptions } from './pipeline/routing-counts.js';
export { buildFromRecipe } from './pipeline/mix.js';
export {
  compareOutput,
  runQuantization,
  verifyOutput,
  type QuantizeJob,
  type QuantizeOutcome,
} from './pipeline/quantize.js';
export { quantizeSettings } from './pipeline/settings.js';
export { conform, type ConformanceResult } from './engine/conform.js';
export { evaluateModels, type EvaluateOptions } from './engine/evaluate.js';
export type { Evaluation } from './evaluate/summary.js';

export { renderHtml } from './report/html.js';
export { renderMarkdown } from './report/markdown.js';
export { renderTerminal } from './report/terminal.js';
export type { ReportData } from './report/report-data.js';
