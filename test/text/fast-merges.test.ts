import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { array, assert, constantFrom, property, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { speedUpMerges } from '../../src/text/fast-merges.js';

type Merges = readonly (readonly [string, string])[];

/** A BPE tokenizer without stages, of the letters a to d and what the merges make of them. */
function tokenizerOf(merges: Merges, given: Merges = merges): HuggingFaceTokenizer {
  const tokens = [...new Set(['a', 'b', 'c', 'd', ...merges.map(([left, right]) => left + right)])];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const model = { type: 'BPE', vocab, merges: given.map((merge) => [...merge]), unk_token: null };
  const stages = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  return new HuggingFaceTokenizer({ ...stages, model }, {});
}

/** Merges of letters and of what earlier merges made, some listed twice. */
const someMerges = array(tuple(constantFrom(0, 1, 2, 3, 4, 5, 6, 7), constantFrom(0, 1, 2, 3, 4, 5, 6, 7)), {
  minLength: 1,
  maxLength: 12,
}).map((picks): Merges => {
  const parts = ['a', 'b', 'c', 'd'];
  return picks.map(([left, right]) => {
    const merge = [parts[left % parts.length] ?? 'a', parts[right % parts.length] ?? 'a'] as const;
    parts.push(merge.join(''));
    return merge;
  });
});

const piecesOf = (tokenizer: HuggingFaceTokenizer, word: string) => tokenizer.tokenize(word);

describe('speedUpMerges()', () => {
  it.each([
    ['short words', 0, 30],
    ['words of many symbols', 60, 200],
  ])('cuts %s as the library does, unknown characters among them', (_, minLength, maxLength) => {
    const words = array(constantFrom('a', 'a', 'b', 'c', 'd', 'q', '👩'), { minLength, maxLength });
    assert(
      property(someMerges, words, (merges, letters) => {
        const [library, ours] = [tokenizerOf(merges), tokenizerOf(merges, [])];
        expect(speedUpMerges(ours, merges)).not.toBeNull();
        const word = letters.join('');
        expect(piecesOf(ours, word)).toEqual(piecesOf(library, word));
      }),
    );
  });

  it('gives the same again when it remembers', () => {
    const merges: Merges = [
      ['a', 'b'],
      ['ab', 'ab'],
    ];
    const tokenizer = tokenizerOf(merges);
    speedUpMerges(tokenizer, ['a b', ...merges.slice(1)])?.remember();
    for (let time = 0; time < 2; time++) expect(piecesOf(tokenizer, 'ababab')).toEqual(['abab', 'ab']);
  });

  it('leaves models alone whose merges name what is no token', () => {
    expect(speedUpMerges(tokenizerOf([['a', 'b']]), [['a', 'x']])).toBeNull();
  });
});
