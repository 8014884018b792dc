import { describeScheme } from './format.js';
import { isRoutedExpert, matchesPattern } from './module-patterns.js';
import { RUNTIME_RULES, type PlannedOutput, type Runtime } from './runtime-rules.js';

export { RUNTIMES, type PlannedOutput, type Runtime, type RuntimeTrap } from './runtime-rules.js';

/** Something that a runtime does with a layout which its user would not expect. */
export interface RuntimeLimit {
  readonly runtime: Runtime;
  /** `refuse`: fails to load or computes something else; `warn`: works under a condition that the message names. */
  readonly severity: 'refuse' | 'warn';
  /** An example of the modules concerned. */
  readonly module: string;
  readonly message: string;
}

/** What the given runtimes would make of a planned output; empty where all is well. */
export function runtimeLimits(runtimes: readonly Runtime[], output: PlannedOutput): RuntimeLimit[] {
  const byRule = RUNTIME_RULES.filter(({ runtime }) => runtimes.includes(runtime)).flatMap((rule) => {
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
  const routed = layout.quantized.find(({ module }) => isRoutedExpert(module));
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

/** The Linears whose inputs tensor parallelism splits. */
const SPLIT_BY_INPUTS = [
  /\.experts\.\d+\.(down_proj|w2)$/,
  /(?<!\.experts\.\d+)\.down_proj$/,
  /\.self_attn\.(o_proj|dense)$/,
  /\.linear_attn\.out_proj$/,
];

/** Every part must hold whole groups. */
function parallelLimits(runtimes: readonly Runtime[], { layout }: PlannedOutput): RuntimeLimit[] {
  const limits: RuntimeLimit[] = [];
  for (const pattern of SPLIT_BY_INPUTS) {
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
