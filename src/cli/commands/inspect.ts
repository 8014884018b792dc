import { Command, InvalidArgumentError, Option } from 'commander';
import { chooseTargets, fusedSets } from '../../awq/targets.js';
import { describeScheme } from '../../checkpoint/format.js';
import { openCheckpoint } from '../../checkpoint/open.js';
import { RUNTIMES, type Runtime, type RuntimeLimit } from '../../checkpoint/runtime-limits.js';
import { withMappedEdges } from '../../awq/mapped-edges.js';
import type { QuantizeSettings } from '../../engine/quantize-settings.js';
import { usableEdges } from '../../engine/smoothing.js';
import { formatLocation } from '../../errors.js';
import { planModel } from '../../model/registry.js';
import type { ModelPlan } from '../../model/plan.js';
import { byKind, groupNotes } from '../../pipeline/group-notes.js';
import { mappingNotes } from '../../pipeline/mappings.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { checkModuleSets } from '../../pipeline/module-sets.js';
import { describeLimit, limitsOf } from '../../pipeline/runtimes.js';
import { quantizeSettings } from '../../pipeline/settings.js';
import { loadRecipe } from '../../recipe/load.js';
import { defaultQuantize, namedScheme, type SchemeName } from '../../recipe/quantize.js';
import type { QuantizeRecipe } from '../../recipe/recipe.js';
import { SCHEMES } from '../../recipe/schema.js';
import { collect, collectRuntime, print, printJson, progressOf } from '../options.js';

interface InspectCommandOptions {
  readonly recipe?: string;
  readonly groupSize: QuantizeRecipe['scheme']['groupSize'];
  readonly scheme: SchemeName;
  readonly ignore: readonly string[];
  readonly format: 'compressed-tensors' | 'autoawq';
  readonly target: readonly Runtime[];
  readonly assume?: string;
  readonly json: boolean;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what Evenkeel sees in a model: layers, experts, what would be quantized, what not, and why.')
    .argument('<model>', 'model folder')
    .addOption(
      new Option('--recipe <file>', 'plan what this recipe asks for').conflicts([
        'scheme',
        'groupSize',
        'ignore',
        'format',
      ]),
    )
    .addOption(new Option('--scheme <name>', 'scheme to plan with').choices(SCHEMES).default('W4A16'))
    .option('--group-size <n>', 'group size to plan with, or channel', groupSize, 128)
    .option('--ignore <entry>', 'a module, or re: and a pattern, that stays as it is; repeatable', collect, [])
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
      '\nExamples:\n  evenkeel inspect test/models/polyglot-moe-18m\n  evenkeel inspect test/models/polyglot-moe-18m --scheme W4A16_ASYM --target sglang\n  evenkeel inspect test/models/polyglot-moe-18m --recipe recipes/demo.yaml',
    )
    .action(async (model: string, options: InspectCommandOptions, command: Command) => {
      const recipe = await plannedRecipe(options, command);
      const checkpoint = openCheckpoint(await modelFolder({ kind: 'folder', path: model }));
      const plan = planModel(checkpoint, options.assume);
      checkModuleSets(plan, recipe);
      const settings = quantizeSettings(recipe, checkpoint, options.assume);
      const wanted = options.target.length > 0 ? options.target : RUNTIMES;
      const runtimes = limitsOf(checkpoint, plan, settings).filter(({ runtime }) => wanted.includes(runtime));
      checkpoint.close();
      const notes = [
        ...groupNotes(plan, recipe.scheme, settings),
        ...mappingNotes(plan, recipe.mappings ?? []).map(
          ({ message, location }) => `${formatLocation(location)}: ${message}`,
        ),
      ];
      const report = { ...inspect(plan, settings), notes, runtimes };
      if (options.json) printJson(report);
      else print(describe(report));
    });
}

/** The recipe's own `quantize`, or one made of the options. */
async function plannedRecipe(options: InspectCommandOptions, command: Command): Promise<QuantizeRecipe> {
  const { recipe: file, scheme, groupSize: size, format, ignore } = options;
  if (file === undefined)
    return { ...defaultQuantize(), scheme: namedScheme(scheme, size), format, ignore: ['lm_head', ...ignore] };
  const recipe = await loadRecipe(file);
  for (const { message, location } of recipe.notes) progressOf(command).note(`${formatLocation(location)}: ${message}`);
  return recipe.quantize;
}

function groupSize(text: string): number | 'channel' {
  if (text === 'channel') return text;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('wanted a number of inputs, or channel');
  return value;
}

interface Inspection {
  readonly architecture: string;
  readonly family: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  readonly experts: { readonly layers: number; readonly perLayer: number; readonly topK: number } | null;
  readonly quantized: readonly (Kind & { readonly scheme: string })[];
  readonly kept: readonly (Kind & { readonly reason: string })[];
  readonly fallbacks: readonly { readonly modules: string; readonly count: number; readonly note: string }[];
  /** What the run would say beforehand: groups other than asked for, mappings without effect. */
  readonly notes: readonly string[];
  readonly edges: readonly { readonly name: string; readonly count: number }[];
  readonly runtimes: readonly RuntimeLimit[];
}

interface Kind {
  /** Module name with numbers replaced by `*`. */
  readonly modules: string;
  readonly count: number;
  readonly parameters: number;
}

function inspect(plan: ModelPlan, settings: QuantizeSettings): Omit<Inspection, 'runtimes' | 'notes'> {
  const targets = chooseTargets(plan, settings);
  const schemes = new Map([...targets.quantized].map(([module, scheme]) => [module, describeScheme(scheme)]));
  const sizes = new Map(
    plan.layers.flatMap((layer) =>
      fusedSets(layer).flatMap((set) =>
        set.map(({ module, outFeatures, inFeatures }) => [module, outFeatures * inFeatures]),
      ),
    ),
  );
  const listed = (reasons: ReadonlyMap<string, string>): (Kind & { reason: string })[] =>
    byKind(plan, reasons).map(({ kind, modules, reason }) => ({
      modules: kind,
      count: modules.length,
      parameters: modules.reduce((sum, module) => sum + sizes.get(module)!, 0),
      reason,
    }));
  const moes = plan.layers.flatMap(({ feedForward }) => (feedForward.kind === 'moe' ? [feedForward] : []));
  const edges = new Map<string, number>();
  const { layers } = withMappedEdges(plan, settings.mappings);
  for (const { name } of layers.flatMap((layer) => usableEdges(layer, targets)))
    edges.set(name, (edges.get(name) ?? 0) + 1);
  return {
    architecture: plan.architecture,
    family: plan.family,
    layers: plan.layers.length,
    hiddenSize: plan.hiddenSize,
    vocabularySize: plan.vocabularySize,
    experts:
      moes[0] === undefined ? null : { layers: moes.length, perLayer: moes[0].experts.length, topK: moes[0].topK },
    quantized: listed(schemes).map(({ reason, ...kind }) => ({ ...kind, scheme: reason })),
    kept: [
      ...listed(targets.kept),
      {
        modules: 'lm_head',
        count: 1,
        parameters: plan.vocabularySize * plan.hiddenSize,
        reason: plan.kept.find(({ pattern }) => pattern === 'lm_head')?.reason ?? 'ignored',
      },
    ],
    fallbacks: listed(targets.fallbacks).map(({ modules, count, reason }) => ({ modules, count, note: reason })),
    edges: [...edges].map(([name, count]) => ({ name, count })),
  };
}

function describe(report: Inspection): string {
  const { experts } = report;
  const share = (kinds: readonly Kind[]): string =>
    `${(kinds.reduce((sum, { parameters }) => sum + parameters, 0) / 1e6).toFixed(1)} M parameters`;
  const row = (count: number, text: string): string => `  ${String(count).padStart(6)} × ${text}`;
  return [
    `${report.architecture} (family ${report.family}): ${report.layers} layers, hidden ${report.hiddenSize}, vocabulary ${report.vocabularySize}`,
    experts === null ? 'dense' : `${experts.layers} layers with ${experts.perLayer} experts, top ${experts.topK}`,
    '',
    `Quantized: ${share(report.quantized)}`,
    ...report.quantized.map(({ modules, count, scheme }) => row(count, `${modules}: ${scheme}`)),
    ...(report.notes.length === 0 ? [] : ['', 'Other than asked for:', ...report.notes.map((note) => `  ${note}`)]),
    '',
    `Kept as they are: ${share(report.kept)}`,
    ...report.kept.map(({ modules, count, reason }) => row(count, `${modules}: ${reason}`)),
    '',
    'Smoothing edges:',
    ...(report.edges.length === 0 ? ['  none'] : report.edges.map(({ name, count }) => row(count, name))),
    '',
    'Runtimes:',
    ...(report.runtimes.length === 0 ? ['  all load it'] : report.runtimes.map((limit) => `  ${describeLimit(limit)}`)),
  ].join('\n');
}
