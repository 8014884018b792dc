import type { Checkpoint } from '../checkpoint/open.js';
import { InputError } from '../errors.js';
import { parseModelConfig } from './config.js';
import type { Family } from './declare.js';
import { llama } from './families/llama.js';
import { mistral } from './families/mistral.js';
import { qwen2 } from './families/qwen2.js';
import { qwen3 } from './families/qwen3.js';
import { qwen3Moe } from './families/qwen3-moe.js';
import type { ModelPlan } from './plan.js';

/** Every family, in the order that `inspect` lists them. */
export const FAMILIES: readonly Family[] = [llama, mistral, qwen2, qwen3, qwen3Moe];

/** Where a decoder's tensors may begin: plain models, and the wrappers of multimodal ones. */
const ROOTS = ['model', 'language_model.model', 'model.language_model', 'transformer'] as const;

/**
 * The plan of a model folder.
 *
 * @param assume name of a family to use whatever `architectures` says
 * @throws InputError when the architecture is not supported, naming what was found and what is near
 */
export function planModel(checkpoint: Checkpoint, assume?: string): ModelPlan {
  const config = parseModelConfig(checkpoint.config);
  const family =
    assume === undefined
      ? FAMILIES.find(({ architectures }) => architectures.includes(config.architecture))
      : FAMILIES.find(({ name }) => name === assume);
  if (family === undefined) throw unsupported(config.architecture, config.modelType, assume);
  const root = ROOTS.find((candidate) => checkpoint.has(`${candidate}.embed_tokens.weight`));
  if (root === undefined) {
    throw new InputError(
      `read model '${checkpoint.directory}': wanted an embedding among ${ROOTS.map((name) => `'${name}.embed_tokens.weight'`).join(', ')}, got none`,
    );
  }
  return family.plan({ config, source: checkpoint, root });
}

function unsupported(architecture: string, modelType: string, assume: string | undefined): InputError {
  const known = FAMILIES.map(({ name }) => name).join(', ');
  if (assume !== undefined) return new InputError(`assume family '${assume}': wanted one of ${known}`);
  const stem = modelType.split('_')[0] ?? '';
  const near = FAMILIES.filter(({ name }) => stem !== '' && name.startsWith(stem.replace(/\d.*$/, ''))).map(
    ({ name }) => name,
  );
  return new InputError(
    `architecture '${architecture}' is not supported (model type '${modelType}'; ` +
      (near.length > 0 ? `nearest: ${near.join(', ')}` : `supported: ${known}`) +
      `). docs/add-an-architecture.md says how to add it; --assume FAMILY tries one as it is`,
  );
}
