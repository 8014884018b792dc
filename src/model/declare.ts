import { InputError } from '../errors.js';
import type { TensorSource } from '../checkpoint/tensor-source.js';
import type { ModelConfig } from './config.js';
import { preNormEdges } from './edges.js';
import { modulesOutside } from './outside.js';
import type {
  Activation,
  AttentionPlan,
  DensePlan,
  KeptModule,
  LayerPlan,
  Linear,
  ModelPlan,
  NormPlan,
} from './plan.js';

/** What a family declares with: the config, the tensors that exist, and where the decoder's names begin. */
export interface Declaration {
  readonly config: ModelConfig;
  readonly source: TensorSource;
  /** Prefix of the decoder without a trailing dot: `model`, `language_model.model`, `model.language_model`. */
  readonly root: string;
}

/** One architecture family: one file under `families/` declares one of these. */
export interface Family {
  readonly name: string;
  /** Names in config.json's `architectures`. */
  readonly architectures: readonly string[];
  /** What transformers' configuration class of this family assumes for keys that config.json leaves out. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** Builds the plan of a model of this family. */
  plan(declaration: Declaration): ModelPlan;
}

/** A Linear named after its module, `<module>.weight` and `<module>.bias` where that exists. */
export function linearPlan({ source }: Declaration, module: string, kept: string | null = null): Linear {
  const shape = source.shape(`${module}.weight`);
  if (shape.length !== 2) {
    throw new InputError(`read '${module}.weight': wanted 2 dimensions, got [${shape.join(', ')}]`);
  }
  const bias = source.has(`${module}.bias`) ? { tensor: `${module}.bias` } : null;
  return { module, weight: { tensor: `${module}.weight` }, bias, outFeatures: shape[0]!, inFeatures: shape[1]!, kept };
}

/** RMSNorm, or LayerNorm where the tensors carry a bias. */
export function normPlan(
  { config, source }: Declaration,
  module: string,
  offset: 0 | 1 = 0,
  kind: NormPlan['kind'] = 'rms',
): NormPlan {
  const epsilon =
    config.optionalNumber('rms_norm_eps') ?? config.optionalNumber('norm_eps') ?? config.number('layer_norm_eps', 1e-6);
  source.shape(`${module}.weight`);
  const bias = kind === 'layer' && source.has(`${module}.bias`) ? `${module}.bias` : null;
  return { kind, weight: `${module}.weight`, bias, offset, epsilon };
}

export function activationPlan(config: ModelConfig): Activation {
  const name = config.string('hidden_act', config.string('hidden_activation', 'silu'));
  switch (name) {
    case 'silu':
    case 'swish':
      return { kind: 'silu' };
    case 'gelu_pytorch_tanh':
      return { kind: 'gelu-tanh' };
    case 'gelu':
      return { kind: 'gelu' };
    default:
      throw new InputError(`read config.json: activation '${name}' is not supported`);
  }
}

export interface HeadSizes {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
}

export function headSizes(config: ModelConfig): HeadSizes {
  const heads = config.number('num_attention_heads');
  return {
    heads,
    keyValueHeads: config.number('num_key_value_heads', heads),
    headDim: config.number('head_dim', config.number('hidden_size') / heads),
  };
}

/** q, k, v and o under `self_attn`; the rest of the family's attention as given. */
export function attentionPlan(
  declaration: Declaration,
  prefix: string,
  rest: Partial<AttentionPlan> & Pick<AttentionPlan, 'rope'>,
  outputName = 'o_proj',
): AttentionPlan {
  const sizes = headSizes(declaration.config);
  const projection = (name: string): Linear => linearPlan(declaration, `${prefix}.self_attn.${name}`);
  return {
    kind: 'attention',
    projections: rest.projections ?? {
      kind: 'separate',
      query: projection('q_proj'),
      key: projection('k_proj'),
      value: projection('v_proj'),
    },
    output: projection(outputName),
    ...sizes,
    scale: sizes.headDim ** -0.5,
    queryNorm: null,
    keyNorm: null,
    mask: { kind: 'causal' },
    softcap: null,
    sinks: null,
    outputGate: false,
    clip: null,
    temperature: null,
    ...rest,
  };
}

/** gate_proj, up_proj, down_proj under a module. */
export function densePlan(
  declaration: Declaration,
  module: string,
  activation = activationPlan(declaration.config),
): DensePlan {
  const projection = (name: string): Linear => linearPlan(declaration, `${module}.${name}`);
  return {
    kind: 'dense',
    projections: { kind: 'separate', gate: projection('gate_proj'), up: projection('up_proj') },
    down: projection('down_proj'),
    activation,
  };
}

export const ROUTER_KEPT = 'router: small, and one wrong choice costs a whole expert';
export const SHARED_GATE_KEPT = 'shared-expert gate: one output, nothing to save';

/** A pre-norm layer with the usual norm names and edges, except where `blocks` brings its own. */
export function preNormLayer(
  declaration: Declaration,
  index: number,
  blocks: Pick<LayerPlan, 'mixer' | 'feedForward'> & Partial<LayerPlan>,
  offset: 0 | 1 = 0,
): LayerPlan {
  const prefix = `${declaration.root}.layers.${index}`;
  const layer = {
    index,
    prefix,
    mixerOutputNorm: null,
    feedForwardOutputNorm: null,
    residualScale: 1,
    ...blocks,
    inputNorm:
      blocks.inputNorm === undefined ? normPlan(declaration, `${prefix}.input_layernorm`, offset) : blocks.inputNorm,
    feedForwardNorm:
      blocks.feedForwardNorm === undefined
        ? normPlan(declaration, `${prefix}.post_attention_layernorm`, offset)
        : blocks.feedForwardNorm,
  };
  return { ...layer, edges: blocks.edges ?? preNormEdges(layer) };
}

/** Embedding, final norm and head around a family's layers. */
export function decoderPlan(
  declaration: Declaration,
  family: string,
  layer: (index: number) => LayerPlan,
  rest: Partial<Pick<ModelPlan, 'embedding' | 'finalNorm' | 'targetTraps'>> & {
    readonly head?: Partial<ModelPlan['head']>;
    readonly kept?: readonly KeptModule[];
  } = {},
): ModelPlan {
  const { config, source, root } = declaration;
  const layers = config.number('num_hidden_layers');
  const embedding = `${root}.embed_tokens.weight`;
  const [vocabularySize] = source.shape(embedding);
  const headModule = ['lm_head', root.replace(/\.?model$/, '.lm_head').replace(/^\./, '')].find((name) =>
    source.has(`${name}.weight`),
  );
  const tied = headModule === undefined || config.boolean('tie_word_embeddings', false);
  return {
    architecture: config.architecture,
    family,
    hiddenSize: config.number('hidden_size'),
    vocabularySize: vocabularySize!,
    embedding: rest.embedding ?? { tensor: embedding, scale: 1 },
    layers: Array.from({ length: layers }, (_, index) => layer(index)),
    finalNorm: rest.finalNorm ?? normPlan(declaration, `${root}.norm`),
    head: {
      weight: { tensor: tied || headModule === undefined ? embedding : `${headModule}.weight` },
      bias: headModule !== undefined && source.has(`${headModule}.bias`) ? `${headModule}.bias` : null,
      divisor: 1,
      softcap: null,
      ...rest.head,
    },
    kept: [
      {
        pattern: config.multimodal ? 're:.*lm_head$' : 'lm_head',
        reason: 'output head: every token passes it, and runtimes expect it unquantized',
      },
      ...(rest.kept ?? []),
      ...modulesOutside(source, root, layers),
    ],
    ...(rest.targetTraps === undefined ? {} : { targetTraps: rest.targetTraps }),
  };
}
