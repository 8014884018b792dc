import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSequences } from '../../src/cli/samples.js';
import { createQualityGate } from '../../src/mix/balance-gate.js';
import { countRepeats } from '../../src/mix/balance-loops.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { syntheticSequences } from '../coverage/synthetic.js';

const MODEL = 'test/models/polyglot-moe-18m';

/** Counts the slow way; n-grams of a period of up to three tokens are rules. */
function countSlowly(ids: readonly number[]): { grams: number; rules: number; repeated: number } {
  const grams = Array.from({ length: ids.length - 7 }, (_, i) => ids.slice(i, i + 8));
  const isRule = (gram: readonly number[]): boolean =>
    [1, 2, 3].some((period) => gram.every((id, i) => i < period || id === gram[i - period]));
  const others = grams.filter((gram) => !isRule(gram)).map((gram) => gram.join(' '));
  return { grams: others.length, rules: grams.length - others.length, repeated: others.length - new Set(others).size };
}

describe('countRepeats()', () => {
  it('counts 8-grams that occurred before, and rules apart', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(70_000), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 8, max: 300 }),
        fc.array(fc.nat(299), { maxLength: 20 }),
        (phrase, length, places) => {
          const ids = Array.from({ length }, (_, i) => phrase[i % phrase.length]!);
          places.forEach((place, i) => (ids[place % length] = i));
          expect(countRepeats(Int32Array.from(ids))).toEqual(countSlowly(ids));
        },
      ),
    );
  });
});

describe('createQualityGate()', () => {
  it('refuses loops and copies, and keeps the first of each', () => {
    const [text] = syntheticSequences({ seed: 1, sequences: 1, length: 400, languages: ['en'] });
    const of = (ids: Iterable<number>): Sequence => ({ ...text!, inputIds: Int32Array.from(ids) });
    const phrase = Array.from({ length: 20 }, (_, i) => i);
    const loop = of(Array.from({ length: 300 }, (_, i) => phrase[i % 20]!));
    const stuck = of(new Int32Array(300).fill(7));
    const gate = createQualityGate([text!, loop, of(text!.inputIds), loop, stuck]);
    expect([0, 1, 2, 3, 4].map(gate.accepts)).toEqual([true, false, false, false, false]);
    expect(gate).toMatchObject({ looped: 3, copies: 1 });
  });

  it.each(['languages', 'multilingual-dialogues', 'coding-agent', 'terminal-agent', 'tool-calling'])(
    'finds no loop in builtin:%s',
    async (name) => {
      const { sequences } = await readSequences(`builtin:${name}`, MODEL, 512);
      expect(createQualityGate(sequences).looped).toBe(0);
    },
  );
});
