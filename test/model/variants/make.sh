#!/bin/sh
# Other shapes of the families in test/conformance: every rule that a fixture there leaves at its default is used here.
# usage: PYTHON=python make.sh [variant…]
set -e
cd "$(dirname "$0")"
base=../../conformance
small='--set vocab_size=96 --set hidden_size=32 --set intermediate_size=32 --set max_position_embeddings=512'
make() {
  name=$1
  from=$2
  shift 2
  case " $wanted " in *" $name "* | "  ") ${PYTHON:-python} $base/make-fixture.py $base/$from $name $small "$@" ;; esac
}
wanted="$*"

# Dense layers mixed in, no norm on q and k, two experts per token, biases, tied embeddings, llama3 rope, older dialect.
make llama4_dense_between llama4_text --as-given --drop moe_layers --drop no_rope_layers --drop layer_types --drop rope_parameters \
  --set interleave_moe_layer_step=2 --set no_rope_layer_interval=2 --set use_qk_norm=false --set num_experts_per_tok=2 \
  --set intermediate_size_mlp=48 --set attention_bias=true --set num_key_value_heads=4 --set head_dim=8 \
  --set attention_chunk_size=8 --set tie_word_embeddings=true --set rope_theta=500000.0 \
  --set 'rope_scaling={"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":64}'
# Experts stored one by one, as in a checkpoint that was quantized.
make llama4_linearized llama4_text --linearize --set head_dim=8 --set num_hidden_layers=2 --drop moe_layers --drop no_rope_layers \
  --drop layer_types --set attn_temperature_tuning=false --set no_rope_layer_interval=2
make gpt_oss_linearized gpt_oss --linearize --set num_hidden_layers=3 --drop layer_types --set sliding_window=5 \
  --set num_key_value_heads=4 --set head_dim=8 --set num_experts_per_tok=3
make granitemoe_linearized granitemoe --linearize --set num_key_value_heads=4 --set attention_bias=true --set tie_word_embeddings=true
# A shared expert whose gate and up are one Linear.
make granitemoeshared granitemoe --set 'model_type="granitemoeshared"' --set shared_intermediate_size=48 --set num_key_value_heads=1
# Dense layers by list and by step, renormalized weights, sliding layers by the family's own rule.
make qwen2_moe_dense_between qwen2_moe --drop layer_types --set num_hidden_layers=4 --set 'mlp_only_layers=[3]' \
  --set decoder_sparse_step=2 --set norm_topk_prob=true --set num_key_value_heads=4 --set use_sliding_window=true \
  --set sliding_window=6 --set max_window_layers=3 --set shared_expert_intermediate_size=48 --set qkv_bias=true
make qwen3_moe_sliding qwen3_moe --set num_hidden_layers=2 --set use_sliding_window=true --set sliding_window=7 \
  --set norm_topk_prob=false --set num_key_value_heads=4 --set attention_bias=true --set tie_word_embeddings=true
# Groups of experts, no dense layer, two shared experts, no norms on q and k.
make glm4_moe_groups glm4_moe --set first_k_dense_replace=0 --set n_group=4 --set topk_group=2 --set n_shared_experts=2 \
  --set use_qk_norm=false --set attention_bias=false --set num_key_value_heads=4 --set head_dim=16 --set norm_topk_prob=false
make dots1_sliding dots1 --drop layer_types --set num_hidden_layers=3 --set max_window_layers=2 --set sliding_window=6 \
  --set num_key_value_heads=2 --set attention_bias=true
# A clamp behind the norms, renormalized weights.
make olmoe_clip olmoe --set clip_qkv=0.6 --set norm_topk_prob=true --set attention_bias=true --set num_key_value_heads=4
make minimax_m2_rotary_dim minimax_m2 --as-given --drop rope_parameters --drop partial_rotary_factor --set rope_theta=5000000.0 \
  --set rotary_dim=4 --set head_dim=16 --set num_key_value_heads=4
make mixtral_sliding mixtral --as-given --drop rope_parameters --set rope_theta=1000000.0 --set sliding_window=6 \
  --set num_key_value_heads=4 --set num_experts_per_tok=3
# Every second layer has experts, none is shared, biases everywhere.
make ernie4_5_moe_interval ernie4_5_moe --set num_hidden_layers=4 --set moe_layer_interval=2 --set moe_layer_end_index=-1 \
  --set moe_num_shared_experts=0 --set use_bias=true --set tie_word_embeddings=false --set num_key_value_heads=4
make hunyuan_v1_moe_alpha hunyuan_v1_moe --set head_dim=8 --set num_key_value_heads=4 --set 'moe_topk=[1,3]' \
  --set 'rope_parameters={"rope_type":"dynamic","alpha":1000.0,"factor":1.0,"rope_theta":10000.0}'
# Longrope beyond and within the original context, half of each head rotating, a sliding window.
make phi3_long phi3 --as-given --drop rope_parameters --set rope_theta=10000.0 --set original_max_position_embeddings=16 \
  --set partial_rotary_factor=0.5 --set sliding_window=9 --set num_key_value_heads=4 --set tie_word_embeddings=true \
  --set 'rope_scaling={"type":"longrope","short_factor":[1.0,1.5],"long_factor":[2.0,4.0]}'
make phimoe_short phimoe --drop rope_parameters --set attention_bias=false --set lm_head_bias=false --set router_jitter_noise=0.2 \
  --set num_key_value_heads=4 --set original_max_position_embeddings=64 \
  --set 'rope_parameters={"rope_type":"longrope","rope_theta":10000.0,"short_factor":[1.0,1.5,2.0,3.0],"long_factor":[2.0,4.0,8.0,16.0],"short_mscale":1.2,"long_mscale":1.4,"original_max_position_embeddings":64}'
make olmo2_yarn olmo2 --set num_key_value_heads=4 --set attention_bias=true --set tie_word_embeddings=true \
  --set 'rope_parameters={"rope_type":"yarn","rope_theta":10000.0,"factor":4.0,"original_max_position_embeddings":16}'
make gemma2_uncapped gemma2 --drop layer_types --set hidden_size=64 --set num_hidden_layers=3 --set attn_logit_softcapping=null \
  --set final_logit_softcapping=2.0 --set num_key_value_heads=4 --set head_dim=8 --set query_pre_attn_scalar=20 --set sliding_window=5
make gemma3_text_linear gemma3_text --as-given --drop layer_types --drop rope_parameters --drop _sliding_window_pattern \
  --set hidden_size=64 --set num_hidden_layers=3 --set sliding_window_pattern=3 --set sliding_window=5 --set rope_theta=100000.0 \
  --set rope_local_base_freq=5000.0 --set 'rope_scaling={"rope_type":"linear","factor":8.0}' --set num_key_value_heads=4 \
  --set head_dim=8 --set final_logit_softcapping=3.0
# YaRN with its sharpened softmax, queries from one projection, no dense layer, no groups, biases, older dialect.
make deepseek_v3_yarn deepseek_v3 --as-given --drop rope_parameters --drop head_dim --set rope_theta=10000.0 --set q_lora_rank=null \
  --set first_k_dense_replace=0 --set n_group=1 --set topk_group=1 --set n_shared_experts=2 --set norm_topk_prob=false \
  --set attention_bias=true --set v_head_dim=24 --set qk_nope_head_dim=8 --set kv_lora_rank=20 --set rms_norm_eps=1e-4 \
  --set 'rope_scaling={"type":"yarn","factor":40,"beta_fast":32,"beta_slow":1,"mscale":1.0,"mscale_all_dim":0.7,"original_max_position_embeddings":64}'
make deepseek_v3_halves deepseek_v3 --set rope_interleave=false --set n_group=8 --set topk_group=3 --set tie_word_embeddings=true \
  --set num_hidden_layers=3
# Groups scored by their best expert, biases in the MLPs.
make deepseek_v2_groups deepseek_v2 --set q_lora_rank=null --set 'topk_method="group_limited_greedy"' --set n_group=4 --set topk_group=2 \
  --set routed_scaling_factor=16.0 --set n_shared_experts=2 --set attention_bias=true --set v_head_dim=8 \
  --set 'rope_parameters={"rope_type":"yarn","rope_theta":10000.0,"factor":40.0,"mscale":0.707,"mscale_all_dim":0.707,"original_max_position_embeddings":64}'
# More than two chunks of the delta rule, keys and values of different sizes, three value heads per key head.
make qwen3_next_long qwen3_next --as-given --length 75 --drop layer_types --drop rope_parameters --set rope_theta=100000.0 \
  --set partial_rotary_factor=0.5 --set full_attention_interval=3 --set 'mlp_only_layers=[0]' --set linear_num_value_heads=6 \
  --set linear_key_head_dim=8 --set linear_value_head_dim=12 --set linear_conv_kernel_dim=3 --set norm_topk_prob=false \
  --set attention_bias=true --set head_dim=16 --set num_key_value_heads=4 --set tie_word_embeddings=true
make qwen3_5_dense qwen3_5_moe_text --set 'model_type="qwen3_5_text"' --set linear_num_key_heads=4 --set head_dim=16 \
  --set num_key_value_heads=1 --length 40
make qwen3_5_moe_defaults qwen3_5_moe_text --as-given --drop layer_types --drop rope_parameters --drop partial_rotary_factor \
  --set rope_theta=1000000.0 --set num_hidden_layers=2 --set full_attention_interval=2 --set shared_expert_intermediate_size=48
make lfm2_moe_bias lfm2_moe --set 'layer_types=["conv","full_attention","conv"]' --set num_hidden_layers=3 --set conv_bias=true \
  --set use_expert_bias=false --set norm_topk_prob=false --set routed_scaling_factor=2.0 --set conv_L_cache=4 \
  --set num_dense_layers=0 --set tie_word_embeddings=false --set num_key_value_heads=4
# The worked example of docs/add-an-architecture.md.
make glm4_moe_lite deepseek_v3 --set 'model_type="glm4_moe_lite"' --drop head_dim --drop qk_head_dim --drop first_k_dense_replace \
  --set num_hidden_layers=3 --set 'mlp_layer_types=["sparse","dense","sparse"]' --set n_group=1 --set topk_group=1 --set v_head_dim=24
