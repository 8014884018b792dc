/** What a recipe for a model is fitted to; `inspect` knows it all. */
export interface InitFacts {
  /** As the recipe will name it: a folder relative to the recipe, or a Hub id. */
  readonly model: string;
  /** Where the checkpoint goes, relative to the recipe. */
  readonly output: string;
  readonly architecture: string;
  readonly layers: number;
  /** Routed experts per layer, and how many a token goes to; 0 for a dense model. */
  readonly experts: number;
  readonly topK: number;
  /** The model's context length, in tokens. */
  readonly contextLength: number;
  /** Largest group of 128, 64, 32 that divides every quantized Linear's input, or what most of them take. */
  readonly groupSize: 32 | 64 | 128;
  /** Whether the model's template prints reasoning of earlier turns only when told to. */
  readonly preserveThinking: boolean;
}

/** Sequences shorter than a turn or two show experts nothing but openings; longer ones cost attention time squared. */
const LONGEST_SEQUENCE = 2048;

/**
 * Skew of routing in trained models, as tokens needed over tokens needed if all experts were used alike. Published tables
 * (a Qwen3-30B-A3B run with 208,775 tokens: mean 13,048 per cell, least 45) show it near 300.
 */
const ROUTING_SKEW = 300;
const FLOOR = 64;
const DENSE_TOKENS = 262_144;

/** A commented recipe for a model, ready to build with. */
export function initialRecipe(facts: InitFacts): string {
  const sequenceLength = Math.min(LONGEST_SEQUENCE, facts.contextLength);
  const moe = facts.experts > 0;
  const tokens = moe
    ? roundUp((FLOOR * ROUTING_SKEW * facts.experts) / Math.max(1, facts.topK), sequenceLength)
    : DENSE_TOKENS;
  const kind = moe
    ? `${facts.layers} layers, ${facts.experts} experts, top-${facts.topK}`
    : `${facts.layers} layers, dense`;
  return `# ${facts.architecture}: ${kind}.
# Every key but model, mix.sources and output may be left out; the values below are the defaults unless said otherwise.
evenkeel: 1
model: ${quote(facts.model)}

mix:
  seed: 42
  # Budget in tokens. ${moe ? `About what ${FLOOR} tokens for the least-used expert take, as routing is skewed in trained models;\n  # "evenkeel audit" says what this mix really gives.` : 'A dense model needs tokens per language only.'}
  tokens: ${tokens}
  sequence_length: ${sequenceLength}
  overflow: window             # window: cut long samples, keep all | truncate: keep beginnings | drop
${facts.preserveThinking ? '  # This template drops the reasoning of earlier turns unless told otherwise.\n  template_arguments: {preserve_thinking: true}\n' : ''}  sources:
    - dataset: builtin:languages
    - dataset: builtin:multilingual-dialogues
      weight: 3                # relative share of the budget
    - dataset: builtin:coding-agent
    - dataset: builtin:terminal-agent
    # A file or folder (Parquet, JSONL, Arrow, save_to_disk), or the Hub:
    # - dataset: org/name@revision
    #   subset: default
    #   split: train
    #   samples: 100           # drawn by seed over all rows; or all
  languages: {default: 1.0}    # relative weights, e.g. {el: 2.0, default: 1.0}
  clean: {near_duplicates: drop, degenerate: drop, secrets: drop}

balance:
  floor: ${FLOOR}                    # routed tokens that every expert of every layer must have
  pool: 4                      # candidates to choose among, in budgets

quantize:
  scheme: W4A16                # W4A16 | W4A16_ASYM | W8A16
  group_size: ${facts.groupSize}
  experts: shrink              # routed: own tokens only | shrink: lean on the layer's | all: the layer's only
  shrinkage: 4096              # how many tokens' worth the layer's statistics weigh
  clip: true
  rounding: gptq               # nearest | gptq
  ignore: [lm_head]            # besides what the architecture always keeps
  format: compressed-tensors   # compressed-tensors | autoawq

output: ${quote(facts.output)}
`;
}

function roundUp(tokens: number, step: number): number {
  return Math.ceil(tokens / step) * step;
}

/** A plain YAML scalar where that is safe. */
function quote(value: string): string {
  return /^[\w./][\w./@-]*$/u.test(value) ? value : JSON.stringify(value);
}
