import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { chooseTargets } from '../../awq/targets.js';
import { openCheckpoint } from '../../checkpoint/open.js';
import { InputError } from '../../errors.js';
import { parseModelConfig } from '../../model/config.js';
import { planModel } from '../../model/registry.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { initialRecipe } from '../../recipe/init.js';
import { loadChatTemplate } from '../../text/chat-template.js';
import { print } from '../options.js';
import { writeReport } from '../written.js';

export function initCommand(): Command {
  return new Command('init')
    .description('Write a commented recipe fitted to a model.')
    .argument('<model>', 'model folder')
    .option('--output <file>', 'where the recipe goes', 'recipe.yaml')
    .option('--force', 'write over a file that is there already', false)
    .addHelpText('after', '\nExample:\n  evenkeel init test/models/polyglot-moe-18m --output my-recipe.yaml')
    .action(async (model: string, options: { output: string; force: boolean }) => {
      if (existsSync(options.output) && !options.force)
        throw new InputError(`write recipe '${options.output}': it is there already (--force writes over it)`);
      const folder = await modelFolder({ kind: 'folder', path: model });
      const checkpoint = openCheckpoint(folder);
      const plan = planModel(checkpoint);
      const config = parseModelConfig(checkpoint.config);
      checkpoint.close();
      const moes = plan.layers.flatMap(({ feedForward }) => (feedForward.kind === 'moe' ? [feedForward] : []));
      const template = await loadChatTemplate(folder);
      const { fallbacks, quantized } = chooseTargets(plan, {
        scheme: { bits: 4, symmetric: true, groupSize: 128 },
        ignore: [],
      });
      const most =
        fallbacks.size * 2 > quantized.size
          ? Math.min(...[...quantized.values()].map(({ groupSize }) => Number(groupSize)))
          : 128;
      const place = dirname(resolve(options.output));
      const path = relative(place, resolve(folder));
      const recipe = initialRecipe({
        model: dotted(path),
        output: outputBeside(place, `${basename(resolve(folder)).toLowerCase()}-w4a16`),
        architecture: plan.architecture,
        layers: plan.layers.length,
        experts: moes[0]?.experts.length ?? 0,
        topK: moes[0]?.topK ?? 0,
        contextLength: config.number('max_position_embeddings', 4096),
        groupSize: most === 32 || most === 64 ? most : 128,
        preserveThinking: [...(template?.templates.values() ?? [])].some(({ source }) =>
          source.includes('preserve_thinking'),
        ),
      });
      await writeReport(options.output, recipe);
      print(`Wrote ${options.output}; next: evenkeel quantize ${options.output}`);
    });
}

/** The working folder's `out`, as a recipe in `place` writes it; of a recipe that lies elsewhere, an `out` beside it. */
function outputBeside(place: string, name: string): string {
  const isBelow = !relative(resolve('.'), place).startsWith('..');
  return dotted(isBelow ? relative(place, resolve('out', name)) : join('out', name));
}

/** A relative path that no reader takes for a Hub id. */
function dotted(path: string): string {
  return path.startsWith('.') ? path : `./${path}`;
}
