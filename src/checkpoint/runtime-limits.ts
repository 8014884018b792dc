import type { CheckpointFormat, LinearLayout, LinearSpec } from './format.js';
import { describeScheme } from './format.js';
import { matchesPattern } from './module-patterns.js';

/** Software that loads the checkpoint. */
export const RUNTIMES = ['vllm', 'sglang', 'transformers'] as const;
export type Runtime = (typeof RUNTIMES)[number];

/** Something that a runtime does with a layout which its user would not expect. */
export interface RuntimeLimit {
  readonly runtime: Runtime;
  /** `refuse`: fails to load or computes something else; `warn`: works under a condition that the message names. */
  readonly severity: 'refuse' | 'warn';
  /** An example of the modules concerned. */
  readonly module: string;
  readonly message: string;
}

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
interface Rule {
  readonly runtime: Runtime;
  readonly severity: RuntimeLimit['severity'];
  readonly formats?: readonly CheckpointFormat['name'][];
  readonly concerns: (linear: LinearSpec, output: PlannedOutput) => boolean;
  readonly message: string;
}

const isExpert = ({ module }: LinearSpec): boolean => /\.experts\.\d+\./.test(module);
const isAttention = ({ module }: LinearSpec): boolean => /\.self_attn\./.test(module);
const isLlama4Attention = (linear: LinearSpec, { modelType }: PlannedOutput): boolean =>
  modelType.startsWith('llama4') && isAttention(linear);
/** Group sizes that vLLM's and SGLang's Marlin kernels have. */
const KERNEL_GROUPS: readonly (number | 'channel')[] = ['channel', 32, 64, 128];

/**
 * Where published runtimes fall short, as of November 2026. Each rule names the issue or pull request that it rests on,
 * so that it can be dropped when that is fixed.
 */
const RULES: readonly Rule[] = [
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
    runtime: 'sglang',
    severity: 'warn',
    formats: ['compressed-tensors'],
    concerns: (linear) => !isExpert(linear) && !linear.scheme.symmetric,
    message: 'older SGLang releases take symmetric Linears only',
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
  ...(['vllm', 'sglang'] as const).map((runtime): Rule => ({
    runtime,
    severity: 'refuse',
    concerns: ({ scheme }) => !KERNEL_GROUPS.includes(scheme.groupSize),
    message: `its kernels know groups of 32, 64, 128 and whole rows`,
  })),
  ...(['vllm', 'sglang'] as const).map((runtime): Rule => ({
    runtime,
    severity: 'warn',
    concerns: (linear) => isExpert(linear) && !/(down_proj|w2)$/.test(linear.module) && linear.inFeatures % 128 !== 0,
    message: 'the fast MoE kernel wants a hidden size divisible by 128',
  })),
];

/** What the given runtimes would make of a planned output; empty where all is well. */
export function runtimeLimits(runtimes: readonly Runtime[], output: PlannedOutput): RuntimeLimit[] {
  const byRule = RULES.filter(({ runtime }) => runtimes.includes(runtime)).flatMap((rule) => {
    if (rule.formats !== undefined && !rule.formats.includes(output.format)) return [];
    const example = output.layout.quantized.find((linear) => rule.concerns(linear, output));
    if (example === undefined) return [];
    return [{ runtime: rule.runtime, severity: rule.severity, module: example.module, message: rule.message }];
  });
  return [
    ...byRule,
    ...trapped(runtimes, output),
    ...(runtimes.includes('sglang') ? sharedExpertLimits(output) : []),
    ...parallelLimits(runtimes, output),
  ];
}

function trapped(runtimes: readonly Runtime[], { layout, traps = [] }: PlannedOutput): RuntimeLimit[] {
  return traps.flatMap(({ runtime, pattern, reason }): RuntimeLimit[] => {
    const example = layout.quantized.find(({ module }) => matchesPattern(pattern, module));
    if (example === undefined || !runtimes.includes(runtime)) return [];
    return [{ runtime, severity: 'refuse', module: example.module, message: `${reason}; add '${pattern}' to ignore` }];
  });
}

/** SGLang may fuse the shared expert into the routed ones' tensor, which wants one scheme (#33759). */
function sharedExpertLimits({ layout }: PlannedOutput): RuntimeLimit[] {
  const routed = layout.quantized.find(isExpert);
  const shared = /\.shared_experts?\.(gate|up|down)_proj$/;
  if (routed === undefined) return [];
  const scheme = describeScheme(routed.scheme);
  const differing =
    layout.quantized.find((linear) => shared.test(linear.module) && describeScheme(linear.scheme) !== scheme)?.module ??
    layout.unquantized.find((module) => shared.test(module));
  if (differing === undefined) return [];
  const message = `the shared expert is not quantized like the routed ones (${scheme}); start SGLang with --disable-shared-experts-fusion`;
  return [{ runtime: 'sglang', severity: 'warn', module: differing, message }];
}

/** Tensor parallelism splits the inputs of the down projections; every part must hold whole groups. */
function parallelLimits(runtimes: readonly Runtime[], { layout }: PlannedOutput): RuntimeLimit[] {
  const limits: RuntimeLimit[] = [];
  for (const pattern of [/\.experts\.\d+\.(down_proj|w2)$/, /(?<!\.experts\.\d+)\.down_proj$/]) {
    const down = layout.quantized.find(({ module }) => pattern.test(module));
    if (down === undefined || down.scheme.groupSize === 'channel') continue;
    const groups = down.inFeatures / down.scheme.groupSize;
    const impossible = [2, 4, 8].filter((size) => groups % size !== 0);
    if (impossible.length === 0) continue;
    const message =
      `${groups === 1 ? '1 group' : `${groups} groups`} of ${down.scheme.groupSize} ` +
      `cannot be shared among ${impossible.join(', ')} devices`;
    for (const runtime of runtimes) {
      if (runtime !== 'transformers') limits.push({ runtime, severity: 'warn', module: down.module, message });
    }
  }
  return limits;
}
