import type { Checkpoint } from '../checkpoint/open.js';
import { InputError } from '../errors.js';
import { parseModelConfig } from './config.js';
import type { Family } from './declare.js';
import { deepseekV2 } from './families/deepseek-v2.js';
import { deepseekV3 } from './families/deepseek-v3.js';
import { dots1 } from './families/dots1.js';
import { ernie45Moe } from './families/ernie4-5-moe.js';
import { gemma2 } from './families/gemma2.js';
import { gemma3 } from './families/gemma3.js';
import { glm4Moe } from './families/glm4-moe.js';
import { glm4MoeLite } from './families/glm4-moe-lite.js';
import { gptOss } from './families/gpt-oss.js';
import { graniteMoe } from './families/granitemoe.js';
import { hunyuanV1Moe } from './families/hunyuan-v1-moe.js';
import { lfm2Moe } from './families/lfm2-moe.js';
import { llama } from './families/llama.js';
import { llama4 } from './families/llama4.js';
import { minimaxM2 } from './families/minimax-m2.js';
import { mistral } from './families/mistral.js';
import { mixtral } from './families/mixtral.js';
import { olmo2 } from './families/olmo2.js';
import { olmoe } from './families/olmoe.js';
import { phi3 } from './families/phi3.js';
import { phimoe } from './families/phimoe.js';
import { qwen2 } from './families/qwen2.js';
import { qwen2Moe } from './families/qwen2-moe.js';
import { qwen3 } from './families/qwen3.js';
import { qwen35, qwen35Moe } from './families/qwen3-5.js';
import { qwen3Moe } from './families/qwen3-moe.js';
import { qwen3Next } from './families/qwen3-next.js';
import type { ModelPlan } from './plan.js';

/** Every family, in the order that `inspect` lists them. */
export const FAMILIES: readonly Family[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  phi3,
  olmo2,
  gemma2,
  gemma3,
  mixtral,
  qwen2Moe,
  qwen3Moe,
  olmoe,
  phimoe,
  graniteMoe,
  ernie45Moe,
  hunyuanV1Moe,
  dots1,
  glm4Moe,
  glm4MoeLite,
  minimaxM2,
  llama4,
  gptOss,
  deepseekV2,
  deepseekV3,
  qwen3Next,
  qwen35,
  qwen35Moe,
  lfm2Moe,
];

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
  return family.plan({ config: parseModelConfig(checkpoint.config, family.defaults), source: checkpoint, root });
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
