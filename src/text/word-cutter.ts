import { createPairCutter } from './mergeable-pairs.js';

/** How a tokenizer's texts fall into words whose ids do not depend on what stands around them. */
export interface WordCutter {
  /** @param section place of the text among the parts that added tokens cut it into */
  cut(text: string, section: number): readonly string[];
  /** A word in the model's alphabet. */
  spell(word: string): string;
}

/** A stage of the library's pre-tokenizer. */
interface Stage {
  pre_tokenize_text(text: string, options: { readonly section_index: number }): string[];
  readonly config?: { readonly type?: unknown; readonly invert?: unknown; readonly behavior?: unknown };
  readonly pattern?: unknown;
}

interface ByteLevel extends Stage {
  readonly pattern: RegExp;
  readonly use_regex: boolean;
  readonly add_prefix_space: boolean;
  readonly byte_encoder: Readonly<Record<number, string>>;
}

/** Stages that treat every piece for itself. */
const INDEPENDENT = new Set(['Split', 'Digits', 'Punctuation']);

/**
 * The words of a tokenizer: those that its own stages make where they end in bytes; else what no merge can join.
 *
 * @param preTokenizer the library's, or null
 * @param merged tokens that merging can give; null where the model does not merge
 */
export function createWordCutter(preTokenizer: unknown, merged: Iterable<string> | null): WordCutter | null {
  const stages = flatten(preTokenizer);
  if (stages === null) return null;
  const last = stages.at(-1);
  if (last !== undefined && isByteLevel(last)) {
    const before = stages.slice(0, -1);
    if (last.add_prefix_space || !before.every((stage) => INDEPENDENT.has(typeOf(stage)))) return null;
    return {
      cut: (text, section) => {
        const pieces = apply(before, text, section);
        return last.use_regex ? pieces.flatMap((piece) => piece.match(last.pattern) ?? []) : pieces;
      },
      spell: (word) => Array.from(Buffer.from(word), (byte) => last.byte_encoder[byte] ?? '').join(''),
    };
  }
  if (merged === null || !stages.every((stage) => INDEPENDENT.has(typeOf(stage)) || 'prepend_scheme' in stage))
    return null;
  const cutPairs = createPairCutter(merged);
  return { cut: (text, section) => apply(stages, text, section).flatMap(cutPairs), spell: (word) => word };
}

function apply(stages: readonly Stage[], text: string, section: number): readonly string[] {
  let pieces: readonly string[] = [text];
  for (const stage of stages) {
    const [only] = pieces;
    pieces =
      pieces.length === 1 && only !== undefined
        ? applyOne(stage, only, section)
        : pieces.flatMap((piece) => applyOne(stage, piece, section));
  }
  return pieces;
}

/** Patterns usually match everything, in one native call; what lies between matches is the library's to keep or not. */
function applyOne(stage: Stage, piece: string, section: number): readonly string[] {
  const { pattern, config } = stage;
  if (pattern instanceof RegExp && typeOf(stage) === 'Split' && config?.invert !== true && isolates(config?.behavior)) {
    const words = piece.match(pattern) ?? [];
    let matched = 0;
    for (const word of words) matched += word.length;
    if (matched === piece.length) return words.filter((word) => word !== '');
  }
  return stage.pre_tokenize_text(piece, { section_index: section });
}

function isolates(behavior: unknown): boolean {
  return typeof behavior === 'string' && behavior.toLowerCase() === 'isolated';
}

function flatten(stage: unknown): Stage[] | null {
  if (stage === null) return [];
  if (typeof stage !== 'function') return null;
  if ('tokenizers' in stage && Array.isArray(stage.tokenizers)) {
    const inner = stage.tokenizers.map(flatten);
    return inner.every((each) => each !== null) ? inner.flat() : null;
  }
  return isStage(stage) ? [stage] : null;
}

function isStage(stage: object): stage is Stage {
  return 'pre_tokenize_text' in stage;
}

function typeOf({ config }: Stage): string {
  return typeof config?.type === 'string' ? config.type : '';
}

function isByteLevel(stage: Stage): stage is ByteLevel {
  return typeOf(stage) === 'ByteLevel' && 'byte_encoder' in stage && stage.pattern instanceof RegExp;
}
