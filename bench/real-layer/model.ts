import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createCheckpointWriter } from '../../src/checkpoint/writer.js';

/** A one-layer model of a published model's shape. */
export interface Shape {
  readonly name: string;
  readonly layers: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: readonly (readonly [name: string, shape: readonly number[]])[];
}

const VOCABULARY = 1024;
const COMMON = {
  dtype: 'bfloat16',
  hidden_act: 'silu',
  attention_bias: false,
  num_hidden_layers: 1,
  rms_norm_eps: 1e-6,
  vocab_size: VOCABULARY,
  tie_word_embeddings: false,
  max_position_embeddings: 32768,
};

/** Qwen3-30B-A3B: hidden 2048, 32 query and 4 key/value heads of 128, 128 experts of 768, top-8, 48 layers. */
export function qwen3(experts = 128): Shape {
  const [hidden, heads, keyValueHeads, headDim, width] = [2048, 32, 4, 128, 768];
  return {
    name: `qwen3-30b-a3b-layer-${experts}`,
    layers: 48,
    config: {
      ...COMMON,
      architectures: ['Qwen3MoeForCausalLM'],
      model_type: 'qwen3_moe',
      decoder_sparse_step: 1,
      mlp_only_layers: [],
      head_dim: headDim,
      hidden_size: hidden,
      intermediate_size: 6144,
      moe_intermediate_size: width,
      norm_topk_prob: true,
      num_attention_heads: heads,
      num_key_value_heads: keyValueHeads,
      num_experts: experts,
      num_experts_per_tok: 8,
      rope_theta: 1_000_000,
    },
    tensors: [
      ...outside(hidden),
      ['model.layers.0.self_attn.q_proj.weight', [heads * headDim, hidden]],
      ['model.layers.0.self_attn.k_proj.weight', [keyValueHeads * headDim, hidden]],
      ['model.layers.0.self_attn.v_proj.weight', [keyValueHeads * headDim, hidden]],
      ['model.layers.0.self_attn.o_proj.weight', [hidden, heads * headDim]],
      ['model.layers.0.self_attn.q_norm.weight', [headDim]],
      ['model.layers.0.self_attn.k_norm.weight', [headDim]],
      ['model.layers.0.mlp.gate.weight', [experts, hidden]],
      ...expertTensors(experts, hidden, width),
    ],
  };
}

/** DeepSeek-V3: hidden 7168, latent attention with 128 heads, 256 experts of 2048 and a shared one, top-8, 58 MoE layers. */
export function deepseekV3(experts = 256): Shape {
  const [hidden, heads, width] = [7168, 128, 2048];
  const [queryRank, keyValueRank, plain, rotary, value] = [1536, 512, 128, 64, 128];
  return {
    name: `deepseek-v3-layer-${experts}`,
    layers: 58,
    config: {
      ...COMMON,
      architectures: ['DeepseekV3ForCausalLM'],
      model_type: 'deepseek_v3',
      first_k_dense_replace: 0,
      hidden_size: hidden,
      intermediate_size: 18432,
      kv_lora_rank: keyValueRank,
      q_lora_rank: queryRank,
      qk_nope_head_dim: plain,
      qk_rope_head_dim: rotary,
      v_head_dim: value,
      moe_intermediate_size: width,
      moe_layer_freq: 1,
      n_group: 8,
      topk_group: 4,
      n_routed_experts: experts,
      n_shared_experts: 1,
      norm_topk_prob: true,
      num_attention_heads: heads,
      num_key_value_heads: heads,
      num_experts_per_tok: Math.min(8, experts / 2),
      routed_scaling_factor: 2.5,
      scoring_func: 'sigmoid',
      topk_method: 'noaux_tc',
      rope_theta: 10_000,
      rope_interleave: true,
    },
    tensors: [
      ...outside(hidden),
      ['model.layers.0.self_attn.q_a_proj.weight', [queryRank, hidden]],
      ['model.layers.0.self_attn.q_a_layernorm.weight', [queryRank]],
      ['model.layers.0.self_attn.q_b_proj.weight', [heads * (plain + rotary), queryRank]],
      ['model.layers.0.self_attn.kv_a_proj_with_mqa.weight', [keyValueRank + rotary, hidden]],
      ['model.layers.0.self_attn.kv_a_layernorm.weight', [keyValueRank]],
      ['model.layers.0.self_attn.kv_b_proj.weight', [heads * (plain + value), keyValueRank]],
      ['model.layers.0.self_attn.o_proj.weight', [hidden, heads * value]],
      ['model.layers.0.mlp.gate.weight', [experts, hidden]],
      ['model.layers.0.mlp.gate.e_score_correction_bias', [experts]],
      ...expertTensors(experts, hidden, width),
      ['model.layers.0.mlp.shared_experts.gate_proj.weight', [width, hidden]],
      ['model.layers.0.mlp.shared_experts.up_proj.weight', [width, hidden]],
      ['model.layers.0.mlp.shared_experts.down_proj.weight', [hidden, width]],
    ],
  };
}

function outside(hidden: number): [string, number[]][] {
  return [
    ['model.embed_tokens.weight', [VOCABULARY, hidden]],
    ['model.norm.weight', [hidden]],
    ['lm_head.weight', [VOCABULARY, hidden]],
    ['model.layers.0.input_layernorm.weight', [hidden]],
    ['model.layers.0.post_attention_layernorm.weight', [hidden]],
  ];
}

function expertTensors(experts: number, hidden: number, width: number): [string, number[]][] {
  return Array.from({ length: experts }, (_, e) => `model.layers.0.mlp.experts.${e}`).flatMap(
    (prefix): [string, number[]][] => [
      [`${prefix}.gate_proj.weight`, [width, hidden]],
      [`${prefix}.up_proj.weight`, [width, hidden]],
      [`${prefix}.down_proj.weight`, [hidden, width]],
    ],
  );
}

/** Writes the model unless it is there already: bf16, expert by expert. */
export async function makeModel(folder: string, { config, tensors }: Shape): Promise<void> {
  if (existsSync(join(folder, 'config.json'))) return;
  const draw = bfloat16Draw(7);
  const writer = await createCheckpointWriter(folder, {
    entries: tensors.map(([name, shape]) => ({ name, shape, dtype: 'BF16' as const })),
    key: { bench: 'real-layer' },
    existing: 'replace',
  });
  for (const [name, shape] of tensors) await writer.write(name, draw(name, shape));
  await writer.finish({ config: JSON.stringify(config, null, 1) });
  await writer.close();
}

/** Embeddings, norms and router rows vary as trained ones do: a few loud channels, experts of unequal popularity. */
function bfloat16Draw(seed: number): (name: string, shape: readonly number[]) => Uint8Array {
  const next = uniform(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  // Billions of Box–Muller draws would take minutes: a table of 64 Ki of them, read at random.
  const table = Float32Array.from({ length: 65_536 }, normal);
  return (name, shape) => {
    const size = shape.reduce((product, n) => product * n, 1);
    const values = new Uint16Array(size);
    const single = new Float32Array(1);
    const bits = new Uint32Array(single.buffer);
    const halves = new Map<number, Uint16Array>();
    const tableOf = (scale: number): Uint16Array => {
      let half = halves.get(scale);
      if (half === undefined) {
        half = Uint16Array.from(table, (value) => {
          single[0] = value * scale;
          return (bits[0]! + 0x8000) >>> 16;
        });
        halves.set(scale, half);
      }
      return half;
    };
    if (shape.length === 1) {
      const isBias = name.endsWith('bias');
      for (let i = 0; i < size; i++) {
        single[0] = isBias ? 0.01 * normal() : Math.exp(0.3 * normal()) * (i % 97 === 5 ? 6 : 1);
        values[i] = (bits[0]! + 0x8000) >>> 16;
      }
      return new Uint8Array(values.buffer);
    }
    const half = tableOf(name.includes('embed_tokens') ? 1 : 1 / Math.sqrt(shape[1]!));
    let state = (Math.floor(next() * 2 ** 31) | 1) >>> 0;
    for (let i = 0; i < size; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      values[i] = half[state & 0xffff]!;
    }
    return new Uint8Array(values.buffer);
  };
}

function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Sequences of random tokens in four languages' names. */
export function randomSequences(count: number, length: number): { inputIds: Int32Array; language: string }[] {
  const next = uniform(11);
  return Array.from({ length: count }, (_, i) => ({
    inputIds: Int32Array.from({ length }, () => Math.floor(next() ** 2 * VOCABULARY)),
    language: ['de', 'el', 'ka', 'zh'][i % 4]!,
  }));
}
