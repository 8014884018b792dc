import { chooseTargets } from '../awq/targets.js';
import type { Checkpoint } from '../checkpoint/open.js';
import { runtimeLimits, RUNTIMES, type Runtime, type RuntimeLimit } from '../checkpoint/runtime-limits.js';
import { outputFormat } from '../engine/output-format.js';
import { planOutput } from '../engine/output-plan.js';
import type { QuantizeSettings } from '../engine/quantize-settings.js';
import { InputError } from '../errors.js';
import { parseModelConfig } from '../model/config.js';
import type { ModelPlan } from '../model/plan.js';

/**
 * What every runtime would make of the checkpoint that settings lead to; headers are all that is read.
 *
 * @throws InputError when the format cannot hold a Linear, or no runtime could look up its schemes
 */
export function limitsOf(
  checkpoint: Checkpoint,
  plan: ModelPlan,
  settings: Pick<QuantizeSettings, 'scheme' | 'ignore' | 'overrides' | 'format' | 'scaleDtype'>,
): readonly RuntimeLimit[] {
  const targets = chooseTargets(plan, settings);
  const format = outputFormat(settings.format);
  const { layout } = planOutput(checkpoint, plan, targets, format, settings.scaleDtype);
  for (const linear of layout.quantized) {
    const problem = format.refusal(linear);
    if (problem !== null) throw new InputError(`quantize '${linear.module}' to ${format.name}: ${problem}`);
  }
  format.quantizationConfig(layout);
  const { modelType } = parseModelConfig(checkpoint.config);
  return runtimeLimits(RUNTIMES, { format: settings.format, layout, modelType, traps: plan.targetTraps ?? [] });
}

/**
 * Holds the limits of a planned checkpoint against the runtimes that must load it.
 *
 * @returns what to warn of: what the wanted runtimes load under a condition, or, where none is named, what any of them
 *   does not load
 * @throws InputError when a wanted runtime does not load the checkpoint
 */
export function checkRuntimes(wanted: readonly Runtime[], limits: readonly RuntimeLimit[]): readonly string[] {
  const refusals = limits.filter(({ severity }) => severity === 'refuse');
  if (wanted.length === 0) return refusals.map((limit) => `warning: ${describeLimit(limit)}`);
  const refused = refusals.filter(({ runtime }) => wanted.includes(runtime));
  if (refused.length > 0)
    throw new InputError(`quantize for ${wanted.join(', ')}: ${refused.map(describeLimit).join('; ')}`);
  return limits.filter(({ runtime }) => wanted.includes(runtime)).map((limit) => `warning: ${describeLimit(limit)}`);
}

/** One line: who, what becomes of which module, and what to do. */
export function describeLimit({ runtime, severity, module, message }: RuntimeLimit): string {
  return `${runtime} ${severity === 'refuse' ? 'does not take' : 'takes with care'} '${module}': ${message}`;
}
