import { describeScheme, type CheckpointFormat, type LinearLayout, type LinearSpec } from './format.js';
import { isRoutedExpert } from './module-patterns.js';

/** Software that loads the checkpoint. */
export const RUNTIMES = ['vllm', 'sglang', 'transformers'] as const;
export type Runtime = (typeof RUNTIMES)[number];

export interface PlannedOutput {
  readonly format: CheckpointFormat['name'];
  readonly layout: LinearLayout;
  /** `model_type` of the config, of the text model where it is nested. */
  readonly modelType: string;
  /** Modules that one runtime cannot take quantized, as the architecture declares them. */
  readonly traps?: readonly RuntimeTrap[];
}

export interface RuntimeTrap {
  readonly runtime: Runtime;
  readonly pattern: string;
  readonly reason: string;
}

/** One rule: the modules that it concerns, if any, and what to say. */
export interface RuntimeRule {
  readonly runtime: Runtime;
  readonly severity: 'refuse' | 'warn';
  readonly formats?: readonly CheckpointFormat['name'][];
  readonly concerns: (linear: LinearSpec, output: PlannedOutput) => boolean;
  readonly message: string;
}

const isExpert = ({ module }: LinearSpec): boolean => isRoutedExpert(module);
const isDown = ({ module }: LinearSpec): boolean => /\.(down_proj|w2)$/.test(module);
const isAttention = ({ module }: LinearSpec): boolean => /\.self_attn\./.test(module);
const isLlama4Attention = (linear: LinearSpec, { modelType }: PlannedOutput): boolean =>
  modelType.startsWith('llama4') && isAttention(linear);
/** Group sizes that vLLM's and SGLang's Marlin kernels have. */
const KERNEL_GROUPS: readonly (number | 'channel')[] = ['channel', 32, 64, 128];

/**
 * Where published runtimes fall short, as of November 2026. Each rule names the issue or pull request that it rests on,
 * so that it can be dropped when that is fixed.
 */
export const RUNTIME_RULES: readonly RuntimeRule[] = [
  {
    runtime: 'transformers',
    severity: 'refuse',
    formats: ['compressed-tensors'],
    concerns: (linear) => isExpert(linear) && !linear.scheme.symmetric,
    message: 'asymmetric experts do not load in transformers up to 5.18 (#47430); use W4A16',
  },
  {
    runtime: 'transformers',
    severity: 'refuse',
    formats: ['autoawq'],
    concerns: isExpert,
    message: 'transformers 5 replaces plain Linears only and leaves AutoAWQ experts out; use compressed-tensors',
  },
  {
    runtime: 'transformers',
    severity: 'refuse',
    concerns: (linear, { modelType }) => isExpert(linear) && /^(gpt_oss|granitemoe|gemma4)/.test(modelType),
    message: 'transformers up to 5.18 has no conversion for per-expert tensors of this family and keeps random experts',
  },
  {
    runtime: 'sglang',
    severity: 'refuse',
    formats: ['compressed-tensors'],
    concerns: (linear) => isExpert(linear) && !linear.scheme.symmetric,
    message: 'SGLang misreads zero points of experts (#39510, #37759); use W4A16, or autoawq for asymmetric codes',
  },
  {
    runtime: 'transformers',
    severity: 'warn',
    formats: ['autoawq'],
    concerns: (linear, { layout }) => !isExpert(linear) && !layout.quantized.some(isExpert),
    message: 'transformers loads AutoAWQ with gptqmodel installed, on a GPU',
  },
  {
    runtime: 'transformers',
    severity: 'refuse',
    concerns: differsFromFirstExpert,
    message: "transformers takes one scheme for the experts of all layers; give them the same scheme, or 'ignore' some",
  },
  {
    runtime: 'sglang',
    severity: 'warn',
    concerns: differsFromFirstExpert,
    message: 'older SGLang releases look up one scheme for the experts of all layers',
  },
  {
    runtime: 'sglang',
    severity: 'refuse',
    formats: ['autoawq'],
    concerns: (linear) => isExpert(linear) && linear.scheme.groupSize === 32,
    message:
      "SGLang's kernel for experts misreads zero points by groups of 32 (#37759); use 64, 128 or compressed-tensors",
  },
  {
    runtime: 'sglang',
    severity: 'warn',
    formats: ['compressed-tensors'],
    concerns: (linear) => !isExpert(linear) && !linear.scheme.symmetric,
    message: 'SGLang takes asymmetric Linears from #25292 on (June 2026)',
  },
  {
    runtime: 'sglang',
    severity: 'refuse',
    concerns: isLlama4Attention,
    message: "SGLang permutes unpacked query and key weights only; add 're:.*self_attn.*' to ignore",
  },
  {
    runtime: 'sglang',
    severity: 'refuse',
    concerns: (linear, { modelType }) => isExpert(linear) && modelType.startsWith('gemma4'),
    message: "SGLang's packed experts compute SiLU only (#25105)",
  },
  {
    runtime: 'vllm',
    severity: 'refuse',
    concerns: (linear, { modelType }) => isExpert(linear) && modelType === 'gpt_oss',
    message: 'vLLM has neither biases nor a loader for packed experts of gpt-oss; keep its MXFP4 weights',
  },
  {
    runtime: 'vllm',
    severity: 'refuse',
    formats: ['compressed-tensors'],
    concerns: (linear, output) => isLlama4Attention(linear, output) && !linear.scheme.symmetric,
    message: 'vLLM permutes rows of query and key weights but not of their zero points; use W4A16 or ignore self_attn',
  },
  {
    runtime: 'vllm',
    severity: 'warn',
    formats: ['compressed-tensors'],
    concerns: (linear) => isExpert(linear) && !linear.scheme.symmetric,
    message: 'asymmetric experts need a vLLM with #44025 (0.23 or later); 0.19 refuses them',
  },
  {
    runtime: 'vllm',
    severity: 'warn',
    formats: ['compressed-tensors'],
    concerns: (linear) => isExpert(linear) && linear.scheme.bits === 8 && linear.scheme.groupSize !== 'channel',
    message: '8-bit experts by group load in vLLM 0.25, 0.26 and releases with #52002, in all by channel',
  },
  {
    runtime: 'vllm',
    severity: 'warn',
    concerns: (linear, { modelType }) => modelType.startsWith('llama4') && isExpert(linear) && !linear.scheme.symmetric,
    message: "Llama 4 weights its experts' inputs, which older releases can only with symmetric codes",
  },
  {
    runtime: 'vllm',
    severity: 'warn',
    concerns: (linear, { modelType }) => isExpert(linear) && modelType.startsWith('granitemoe'),
    message: "releases differ in what they call this family's quantized experts (#54047); try yours",
  },
  ...(['vllm', 'sglang'] as const).map((runtime): RuntimeRule => ({
    runtime,
    severity: 'warn',
    concerns: (linear) => !isExpert(linear) && !fitsTiles(linear),
    message: 'the fast kernels take outputs × inputs in tiles of 64 × 128 or 128 × 64; releases that pad load it',
  })),
  ...(['vllm', 'sglang'] as const).map((runtime): RuntimeRule => ({
    runtime,
    severity: 'refuse',
    concerns: ({ scheme }) => !KERNEL_GROUPS.includes(scheme.groupSize),
    message: `its kernels know groups of 32, 64, 128 and whole rows`,
  })),
  ...(['vllm', 'sglang'] as const).map((runtime): RuntimeRule => ({
    runtime,
    severity: 'warn',
    concerns: (linear) => isExpert(linear) && !isDown(linear) && linear.inFeatures % 128 !== 0,
    message: 'the fast MoE kernel wants a hidden size divisible by 128',
  })),
];

/** Whether Marlin's tiles cover a Linear. */
function fitsTiles({ outFeatures, inFeatures }: LinearSpec): boolean {
  const fits = (outputs: number, inputs: number): boolean => outFeatures % outputs === 0 && inFeatures % inputs === 0;
  return fits(64, 128) || fits(128, 64);
}

function differsFromFirstExpert(linear: LinearSpec, { layout }: PlannedOutput): boolean {
  const first = layout.quantized.find(isExpert);
  return first !== undefined && isExpert(linear) && describeScheme(linear.scheme) !== describeScheme(first.scheme);
}
