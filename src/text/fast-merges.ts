import type { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';

/** The parts of the library's BPE model that merging reads, and the method that does it. */
interface BytePairModel {
  readonly merges: readonly (readonly [string, string])[];
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly end_of_word_suffix?: string | null;
  readonly continuing_subword_suffix: string | null;
  bpe(word: string): string[];
}

/** Above this many symbols the library's priority queue beats looking at every pair again after each merge. */
const MOST_SYMBOLS = 48;

/** Words remembered with their pieces; the cache starts anew when it is full. */
const MOST_WORDS = 100_000;

/**
 * Replaces a BPE model's merging by one that gives the same pieces sooner: pairs of ids instead of JSON texts as keys,
 * scanning instead of a queue for words of ordinary length, and a cache without reordering. On multilingual text this
 * more than doubles the tokenizer's speed; the ids are checked against the reference like any others.
 */
export function speedUpMerges(tokenizer: HuggingFaceTokenizer): void {
  const model: unknown = tokenizer.model;
  if (!isBytePairModel(model)) return;
  const ids = model.tokens_to_ids;
  const pairs = rankPairs(model);
  if (pairs === null) return;
  const texts = new Map<number, string>();
  for (const [text, id] of ids) texts.set(id, text);
  const queue = model.bpe.bind(model);
  const cache = new Map<string, string[]>();
  const size = ids.size + 1;
  model.bpe = (word) => {
    const known = cache.get(word);
    if (known !== undefined) return known;
    const pieces = merge(word) ?? queue(word);
    if (cache.size >= MOST_WORDS) cache.clear();
    cache.set(word, pieces);
    return pieces;
  };

  /** Null for words that are left to the queue: long ones, and those with a symbol outside the vocabulary. */
  function merge(word: string): string[] | null {
    if (word.length > 2 * MOST_SYMBOLS) return null;
    const symbols: number[] = [];
    for (const character of word) {
      const id = ids.get(character);
      if (id === undefined || symbols.length === MOST_SYMBOLS) return null;
      symbols.push(id);
    }
    const found: (Pair | null)[] = [];
    for (let at = 0; at + 1 < symbols.length; at++)
      found.push(pairs!.get((symbols[at] ?? 0) * size + (symbols[at + 1] ?? 0)) ?? null);
    for (;;) {
      let best = -1;
      let rank = Number.POSITIVE_INFINITY;
      for (let at = 0; at < found.length; at++) {
        const pair = found[at];
        if (pair !== null && pair !== undefined && pair.rank < rank) {
          rank = pair.rank;
          best = at;
        }
      }
      if (best === -1) break;
      symbols.splice(best, 2, found[best]?.merged ?? 0);
      found.splice(best, 1);
      if (best > 0) found[best - 1] = pairs!.get((symbols[best - 1] ?? 0) * size + (symbols[best] ?? 0)) ?? null;
      if (best < found.length) found[best] = pairs!.get((symbols[best] ?? 0) * size + (symbols[best + 1] ?? 0)) ?? null;
    }
    return symbols.map((id) => texts.get(id) ?? '');
  }
}

interface Pair {
  readonly rank: number;
  readonly merged: number;
}

/** Rank and result of every merge by its pair of ids; null when a part of some merge is not in the vocabulary. */
function rankPairs({ merges, tokens_to_ids: ids }: BytePairModel): Map<number, Pair> | null {
  const pairs = new Map<number, Pair>();
  const size = ids.size + 1;
  for (const [rank, [left, right]] of merges.entries()) {
    const [a, b, merged] = [ids.get(left), ids.get(right), ids.get(left + right)];
    if (a === undefined || b === undefined || merged === undefined || a >= size || b >= size) return null;
    // Of a merge listed twice the later rank counts, as in the library's map and the reference's.
    pairs.set(a * size + b, { rank, merged });
  }
  return pairs;
}

function isBytePairModel(model: unknown): model is BytePairModel {
  return (
    typeof model === 'function' &&
    'bpe' in model &&
    typeof model.bpe === 'function' &&
    'merges' in model &&
    Array.isArray(model.merges) &&
    'tokens_to_ids' in model &&
    model.tokens_to_ids instanceof Map &&
    !('end_of_word_suffix' in model && Boolean(model.end_of_word_suffix)) &&
    !('continuing_subword_suffix' in model && Boolean(model.continuing_subword_suffix))
  );
}
