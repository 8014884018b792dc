import { Command, Option } from 'commander';
import { chooseTargets, fusedSets, type TargetSettings } from '../../awq/targets.js';
import { openCheckpoint } from '../../checkpoint/open.js';
import { RUNTIMES, type Runtime, type RuntimeLimit } from '../../checkpoint/runtime-limits.js';
import { scaleDtype } from '../../engine/output-plan.js';
import { planModel } from '../../model/registry.js';
import type { ModelPlan } from '../../model/plan.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { describeLimit, limitsOf } from '../../pipeline/runtimes.js';
import { namedScheme, type SchemeName } from '../../recipe/quantize.js';
import { SCHEMES } from '../../recipe/schema.js';
import { collectRuntime, print, printJson, wholeNumber } from '../options.js';

interface InspectCommandOptions {
  readonly groupSize: number;
  readonly scheme: SchemeName;
  readonly format: 'compressed-tensors' | 'autoawq';
  readonly target: readonly Runtime[];
  readonly assume?: string;
  readonly json: boolean;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what Evenkeel sees in a model: layers, experts, what would be quantized, what not, and why.')
    .argument('<model>', 'model folder')
    .option('--group-size <n>', 'group size to plan with', wholeNumber(1), 128)
    .addOption(new Option('--scheme <name>', 'scheme to plan with').choices(SCHEMES).default('W4A16'))
    .addOption(
      new Option('--format <name>', 'checkpoint format to plan with')
        .choices(['compressed-tensors', 'autoawq'])
        .default('compressed-tensors'),
    )
    .option('--target <runtime>', 'say what only these make of it: vllm, sglang, transformers', collectRuntime, [])
    .option('--assume <family>', 'use this family whatever config.json says')
    .option('--json', 'one JSON document on stdout', false)
    .addHelpText(
      'after',
      '\nExamples:\n  evenkeel inspect test/models/polyglot-moe-18m\n  evenkeel inspect test/models/polyglot-moe-18m --scheme W4A16_ASYM --target sglang',
    )
    .action(async (model: string, options: InspectCommandOptions) => {
      const checkpoint = openCheckpoint(await modelFolder({ kind: 'folder', path: model }));
      const plan = planModel(checkpoint, options.assume);
      const { format, target, groupSize } = options;
      const scheme = namedScheme(options.scheme, groupSize);
      const settings = { scheme, ignore: ['lm_head'], format, scaleDtype: scaleDtype(checkpoint, format) };
      const wanted = target.length > 0 ? target : RUNTIMES;
      const runtimes = limitsOf(checkpoint, plan, settings).filter(({ runtime }) => wanted.includes(runtime));
      checkpoint.close();
      const report = { ...inspect(plan, settings), runtimes };
      if (options.json) printJson(report);
      else print(describe(report));
    });
}

interface Inspection {
  readonly architecture: string;
  readonly family: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  readonly experts: { readonly layers: number; readonly perLayer: number; readonly topK: number } | null;
  readonly quantized: readonly Kind[];
  readonly kept: readonly (Kind & { readonly reason: string })[];
  readonly fallbacks: readonly { readonly modules: string; readonly count: number; readonly note: string }[];
  readonly edges: readonly { readonly name: string; readonly count: number }[];
  readonly runtimes: readonly RuntimeLimit[];
}

interface Kind {
  /** Module name with numbers replaced by `*`. */
  readonly modules: string;
  readonly count: number;
  readonly parameters: number;
}

function inspect(plan: ModelPlan, settings: TargetSettings): Omit<Inspection, 'runtimes'> {
  const targets = chooseTargets(plan, settings);
  const linears = plan.layers.flatMap((layer) => fusedSets(layer).flat());
  const kinds = (modules: ReadonlySet<string>): Map<string, { count: number; parameters: number; first: string }> => {
    const found = new Map<string, { count: number; parameters: number; first: string }>();
    for (const { module, outFeatures, inFeatures } of linears) {
      if (!modules.has(module)) continue;
      const name = abstracted(module);
      const kind = found.get(name) ?? { count: 0, parameters: 0, first: module };
      found.set(name, { ...kind, count: kind.count + 1, parameters: kind.parameters + outFeatures * inFeatures });
    }
    return found;
  };
  const listed = (modules: ReadonlySet<string>): (Kind & { first: string })[] =>
    [...kinds(modules)].map(([name, { count, parameters, first }]) => ({ modules: name, count, parameters, first }));
  const moes = plan.layers.flatMap(({ feedForward }) => (feedForward.kind === 'moe' ? [feedForward] : []));
  const edges = new Map<string, number>();
  for (const { name } of plan.layers.flatMap((layer) => layer.edges)) edges.set(name, (edges.get(name) ?? 0) + 1);
  return {
    architecture: plan.architecture,
    family: plan.family,
    layers: plan.layers.length,
    hiddenSize: plan.hiddenSize,
    vocabularySize: plan.vocabularySize,
    experts:
      moes[0] === undefined ? null : { layers: moes.length, perLayer: moes[0].experts.length, topK: moes[0].topK },
    quantized: listed(new Set(targets.quantized.keys())).map(({ first: _first, ...kind }) => kind),
    kept: [
      ...listed(new Set(targets.kept.keys())).map(({ first, ...kind }) => ({
        ...kind,
        reason: targets.kept.get(first)!,
      })),
      {
        modules: 'lm_head',
        count: 1,
        parameters: plan.vocabularySize * plan.hiddenSize,
        reason: plan.kept.find(({ pattern }) => pattern === 'lm_head')?.reason ?? 'ignored',
      },
    ],
    fallbacks: listed(new Set(targets.fallbacks.keys())).map(({ modules, count, first }) => ({
      modules,
      count,
      note: targets.fallbacks.get(first)!,
    })),
    edges: [...edges].map(([name, count]) => ({ name, count })),
  };
}

function abstracted(module: string): string {
  return module.replace(/\d+/g, '*');
}

function describe(report: Inspection): string {
  const { experts } = report;
  const share = (kinds: readonly Kind[]): string =>
    `${(kinds.reduce((sum, { parameters }) => sum + parameters, 0) / 1e6).toFixed(1)} M parameters`;
  const rows = (kinds: readonly Kind[]): string[] =>
    kinds.map(({ modules, count }) => `  ${String(count).padStart(6)} × ${modules}`);
  return [
    `${report.architecture} (family ${report.family}): ${report.layers} layers, hidden ${report.hiddenSize}, vocabulary ${report.vocabularySize}`,
    experts === null ? 'dense' : `${experts.layers} layers with ${experts.perLayer} experts, top ${experts.topK}`,
    '',
    `Quantized: ${share(report.quantized)}`,
    ...rows(report.quantized),
    ...(report.fallbacks.length === 0
      ? []
      : [
          '',
          'With a smaller group:',
          ...report.fallbacks.map(({ modules, count, note }) => `  ${String(count).padStart(6)} × ${modules}: ${note}`),
        ]),
    '',
    `Kept as they are: ${share(report.kept)}`,
    ...report.kept.map(({ modules, count, reason }) => `  ${String(count).padStart(6)} × ${modules}: ${reason}`),
    '',
    'Smoothing edges:',
    ...(report.edges.length === 0
      ? ['  none']
      : report.edges.map(({ name, count }) => `  ${String(count).padStart(6)} × ${name}`)),
    '',
    'Runtimes:',
    ...(report.runtimes.length === 0 ? ['  all load it'] : report.runtimes.map((limit) => `  ${describeLimit(limit)}`)),
  ].join('\n');
}
