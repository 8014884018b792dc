import type { Runtime } from '../checkpoint/runtime-limits.js';
import type { RouterRule } from './router-rule.js';

/**
 * A model as the layer pass sees it: data only, derived from config.json and the tensor names, so that every worker
 * derives the same plan and a graph can be cached by the plan's shape.
 */
export interface ModelPlan {
  /** `architectures[0]` of config.json, e.g. `Qwen3MoeForCausalLM`. */
  readonly architecture: string;
  /** The family's name in Evenkeel, e.g. `qwen3_moe`. */
  readonly family: string;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  readonly embedding: {
    readonly tensor: string;
    /** Multiplies the embedding (gemma: √hidden, granite: embedding_multiplier). */
    readonly scale: number;
  };
  readonly layers: readonly LayerPlan[];
  readonly finalNorm: NormPlan;
  readonly head: HeadPlan;
  /** Modules and tensors that stay as they are, with the reason that `inspect` prints. */
  readonly kept: readonly KeptModule[];
  /** What else must stay unquantized for one runtime to load or run the checkpoint. */
  readonly targetTraps?: readonly TargetTrap[];
}

/** A module that this runtime cannot take quantized, though others can. */
export interface TargetTrap extends KeptModule {
  readonly runtime: Runtime;
}

export interface HeadPlan {
  readonly weight: WeightRef;
  readonly bias: string | null;
  /** Logits are divided by this (granite: logits_scaling). */
  readonly divisor: number;
  /** c·tanh(logits/c) (gemma2), or null. */
  readonly softcap: number | null;
}

export interface KeptModule {
  /** Prefix-agnostic anchored regex as runtimes match it, e.g. `re:.*mlp\\.gate$`, or an exact name. */
  readonly pattern: string;
  readonly reason: string;
}

/** Pre-norm or post-norm residual layer: x += mix(norm(x)); x += feedForward(norm(x)). */
export interface LayerPlan {
  readonly index: number;
  /** Tensor prefix without a trailing dot, e.g. `model.layers.3`. */
  readonly prefix: string;
  readonly inputNorm: NormPlan | null;
  readonly mixer: MixerPlan;
  readonly mixerOutputNorm: NormPlan | null;
  readonly feedForwardNorm: NormPlan | null;
  readonly feedForward: DensePlan | MoePlan;
  readonly feedForwardOutputNorm: NormPlan | null;
  /** Multiplies what either block adds to the residual stream (granite). */
  readonly residualScale: number;
  readonly edges: readonly SmoothingEdge[];
}

export type MixerPlan = AttentionPlan | LatentAttentionPlan | GatedDeltaPlan | ShortConvolutionPlan;

export interface NormPlan {
  readonly kind: 'rms' | 'layer';
  readonly weight: string;
  readonly bias: string | null;
  /** 1 where the stored weight is zero-centred (gemma, qwen3_next): the norm multiplies by 1 + w. */
  readonly offset: 0 | 1;
  readonly epsilon: number;
}

/** A 2-D weight [out, in], possibly a part of a fused tensor. */
export interface WeightRef {
  readonly tensor: string;
  /** Expert within a 3-D tensor. */
  readonly index?: number;
  /** Stored [in, out]. */
  readonly transposed?: boolean;
  /** Output rows from, to (exclusive), every `step`-th: gate and up within a fused gate_up tensor. */
  readonly rows?: { readonly from: number; readonly to: number; readonly step: number };
}

/** A 1-D tensor, or a part of one: `index` picks a row of a 2-D tensor, then from/to/step as in WeightRef. */
export interface VectorRef {
  readonly tensor: string;
  readonly index?: number;
  readonly rows?: { readonly from: number; readonly to: number; readonly step: number };
}

export interface Linear {
  /** Module name in the checkpoint that is written, e.g. `model.layers.0.mlp.experts.3.gate_proj`. */
  readonly module: string;
  readonly weight: WeightRef;
  readonly bias: VectorRef | null;
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** null: quantized; else why not (router, tiny projection, runtime trap). */
  readonly kept: string | null;
}

/**
 * An AWQ mapping. `source` absorbs 1/s, every reader's input columns take s. Readers that stay unquantized (routers)
 * must be listed too: they read the same norm.
 */
export interface SmoothingEdge {
  readonly name: string;
  readonly source:
    | { readonly kind: 'norm'; readonly norm: NormPlan }
    /** `rows` names the output rows that absorb 1/s where they are not all: v of a fused qkv, up of a fused gate_up. */
    | {
        readonly kind: 'linear';
        readonly linear: Linear;
        readonly rows?: { readonly from: number; readonly to: number };
      };
  readonly readers: readonly Linear[];
  readonly tap: Tap;
}

/**
 * Where a statistic is taken. `expert-down` has one per expert; `feed-forward-input` of an MoE layer is refined per
 * expert by routing.
 */
export type Tap =
  | 'mixer-input'
  | 'mixer-output'
  | 'latent-query'
  | 'latent-key-value'
  | 'feed-forward-input'
  | 'dense-down'
  | 'shared-down'
  | 'expert-down';

export interface AttentionPlan {
  readonly kind: 'attention';
  readonly projections:
    | { readonly kind: 'separate'; readonly query: Linear; readonly key: Linear; readonly value: Linear }
    | { readonly kind: 'fused'; readonly queryKeyValue: Linear };
  readonly output: Linear;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly queryNorm: HeadNorm | null;
  readonly keyNorm: HeadNorm | null;
  readonly rope: RopePlan | null;
  readonly mask: MaskPlan;
  readonly softcap: number | null;
  /** Per-head logits appended to the softmax and dropped (gpt_oss). */
  readonly sinks: string | null;
  /** q_proj emits [q | gate] per head, the output is multiplied by σ(gate) (qwen3_next). */
  readonly outputGate: boolean;
  /** Clamp q, k, v to ±clip, after norms over the whole width (olmoe). */
  readonly clip: number | null;
  /** q × (1 + scale·ln(1 + ⌊(position+1)/floor⌋)) (llama4's NoPE layers). */
  readonly temperature: { readonly scale: number; readonly floor: number } | null;
}

/** `over: 'head'` normalizes each head, `'width'` the whole projection; weight null is llama4's plain L2 norm. */
export interface HeadNorm {
  readonly over: 'head' | 'width';
  readonly kind: 'rms' | 'layer';
  readonly weight: string | null;
  readonly offset: 0 | 1;
  readonly epsilon: number;
  readonly order: 'before-rope' | 'after-rope';
}

export interface RopePlan {
  /** Radians per position, [rotaryDim / 2]. */
  readonly inverseFrequencies: readonly number[];
  /** Used instead for sequences longer than `from` tokens (phi3's longrope). */
  readonly long: {
    readonly inverseFrequencies: readonly number[];
    readonly attentionFactor: number;
    readonly from: number;
  } | null;
  /** Multiplies cos and sin (yarn, longrope). */
  readonly attentionFactor: number;
  /** Leading part of each head that rotates. */
  readonly rotaryDim: number;
  /** Pairs (2i, 2i+1) instead of (i, i + half). */
  readonly interleaved: boolean;
}

export type MaskPlan =
  | { readonly kind: 'causal' }
  | { readonly kind: 'sliding'; readonly window: number }
  | { readonly kind: 'chunked'; readonly size: number };

/** Multi-head latent attention (deepseek_v2/v3). */
export interface LatentAttentionPlan {
  readonly kind: 'latent-attention';
  readonly query:
    | { readonly kind: 'direct'; readonly projection: Linear }
    | { readonly kind: 'low-rank'; readonly down: Linear; readonly norm: NormPlan; readonly up: Linear };
  /** kv_a_proj_with_mqa: [latent | rotary key]. */
  readonly keyValueDown: Linear;
  readonly keyValueNorm: NormPlan;
  readonly keyValueUp: Linear;
  readonly output: Linear;
  readonly heads: number;
  readonly latentDim: number;
  readonly plainDim: number;
  readonly valueDim: number;
  readonly scale: number;
  readonly rope: RopePlan;
}

/** Gated delta net (qwen3_next, qwen3_5). */
export interface GatedDeltaPlan {
  readonly kind: 'gated-delta';
  readonly projections:
    | { readonly kind: 'fused'; readonly qkvz: Linear; readonly ba: Linear }
    | { readonly kind: 'separate'; readonly qkv: Linear; readonly z: Linear; readonly b: Linear; readonly a: Linear };
  readonly convolution: { readonly weight: string; readonly kernel: number };
  readonly decay: { readonly logA: string; readonly timeBias: string };
  readonly norm: NormPlan;
  readonly output: Linear;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

/** lfm2's gated short convolution: out(C ⊙ conv(B ⊙ x)). */
export interface ShortConvolutionPlan {
  readonly kind: 'short-convolution';
  readonly input: Linear;
  readonly convolution: { readonly weight: string; readonly bias: string | null; readonly kernel: number };
  readonly output: Linear;
}

export type Activation =
  | { readonly kind: 'silu' }
  | { readonly kind: 'gelu-tanh' }
  | { readonly kind: 'gelu' }
  /** gpt_oss: (clamp(up) + 1) · g·σ(alpha·g), g = min(gate, limit). */
  | { readonly kind: 'clamped-swiglu'; readonly alpha: number; readonly limit: number };

export interface DensePlan {
  readonly kind: 'dense';
  readonly projections:
    | { readonly kind: 'separate'; readonly gate: Linear; readonly up: Linear }
    | { readonly kind: 'fused'; readonly gateUp: Linear };
  readonly down: Linear;
  readonly activation: Activation;
}

export interface MoePlan {
  readonly kind: 'moe';
  readonly router: Linear;
  readonly rule: RouterRule;
  readonly topK: number;
  readonly experts: readonly ExpertPlan[];
  readonly activation: Activation;
  /** Where the routing weight is applied (llama4: on the expert's input). */
  readonly weightOn: 'input' | 'output';
  readonly shared: SharedExpertPlan | null;
}

export interface ExpertPlan {
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;
}

export interface SharedExpertPlan {
  readonly dense: DensePlan;
  /** σ(gate·x) multiplies the shared expert's output (qwen2_moe). */
  readonly gate: Linear | null;
}
