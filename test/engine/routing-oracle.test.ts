import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Sequence } from '../../src/mix/sequence.js';
import { auditSequences } from '../../src/pipeline/audit.js';

const MODEL = fileURLToPath(new URL('../models/polyglot-moe-18m', import.meta.url));

interface Oracle {
  readonly sequences: readonly (readonly number[])[];
  readonly routed: readonly (readonly number[])[];
}

const oracle = JSON.parse(readFileSync(new URL('routing-oracle.json', import.meta.url), 'utf8')) as Oracle;

function toSequence(ids: readonly number[], index: number): Sequence {
  return {
    inputIds: Int32Array.from(ids),
    channels: new Uint8Array(ids.length),
    language: index % 2 === 0 ? 'el' : 'en',
    category: 'prose',
    source: 'oracle',
    revision: null,
    license: null,
    recordId: String(index),
    window: 0,
  };
}

async function routedCounts(sequences: readonly Sequence[], lanes: number): Promise<readonly (readonly number[])[]> {
  const audit = auditSequences({ model: MODEL, sequences, floor: 64, lanes });
  for (;;) {
    const next = await audit.next();
    if (next.done === true) return next.value.coverage.layers.map(({ routed }) => routed);
  }
}

describe('auditSequences() on the shipped model', () => {
  it("counts transformers' own routing to the token", async () => {
    expect(await routedCounts(oracle.sequences.map(toSequence), 2)).toEqual(oracle.routed);
  });

  it('counts the same whatever the order of the sequences and the number of lanes', async () => {
    const shuffled = oracle.sequences.map(toSequence).toReversed();
    expect(await routedCounts(shuffled, 1)).toEqual(oracle.routed);
  });
});
