import type { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { mergeSymbols } from './merge-symbols.js';
import { createPairTable, type DeclaredMerge } from './pair-table.js';

/** The part of the library's BPE model that merging reads, and the method that does it. */
interface BytePairModel {
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  bpe(word: string): string[];
}

/** Words remembered with their pieces; the cache starts anew when it is full. */
const MOST_WORDS = 100_000;

/** Merging that was put in place of the library's. */
export interface FastMerges {
  /** Remembers words from now on: for tokenizers that do not remember their ids. */
  remember(): void;
}

/**
 * Replaces a BPE model's merging by one that gives the same pieces sooner, with pairs of ids instead of JSON texts as keys;
 * the ids are checked against the reference like any others. The library need not have been given the merges.
 *
 * @returns null for models of another kind, which are left as they are
 */
export function speedUpMerges(tokenizer: HuggingFaceTokenizer, merges: readonly DeclaredMerge[]): FastMerges | null {
  const model: unknown = tokenizer.model;
  if (!isBytePairModel(model)) return null;
  const ids = model.tokens_to_ids;
  const table = createPairTable(merges, ids);
  if (table === null) return null;
  const texts: string[] = [];
  for (const [text, id] of ids) texts[id] = text;
  let cache: Map<string, string[]> | null = null;
  model.bpe = (word) => {
    const known = cache?.get(word);
    if (known !== undefined) return known;
    const pieces = merge(word);
    if (cache !== null && cache.size >= MOST_WORDS) cache.clear();
    cache?.set(word, pieces);
    return pieces;
  };
  return {
    remember: () => {
      cache = new Map();
    },
  };

  function merge(word: string): string[] {
    const symbols: number[] = [];
    // Characters that are no tokens stay what they are, between what can be merged.
    const unknown: string[] = [];
    for (const character of word) {
      const id = ids.get(character);
      symbols.push(id ?? -unknown.push(character));
    }
    mergeSymbols(symbols, table!);
    return symbols.map((symbol) => (symbol < 0 ? (unknown[-symbol - 1] ?? '') : (texts[symbol] ?? '')));
  }
}

function isBytePairModel(model: unknown): model is BytePairModel {
  return (
    typeof model === 'function' &&
    'bpe' in model &&
    typeof model.bpe === 'function' &&
    'merges' in model &&
    'tokens_to_ids' in model &&
    model.tokens_to_ids instanceof Map &&
    !('end_of_word_suffix' in model && Boolean(model.end_of_word_suffix)) &&
    !('continuing_subword_suffix' in model && Boolean(model.continuing_subword_suffix))
  );
}
