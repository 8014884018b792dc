import { expect, it } from 'vitest';
import { KINDS, loadSpecimens, readDamaged } from '../../bench/fuzz/target.js';

/** A taste of bench/fuzz-data.ts, with another seed. */
const INPUTS = 60;

it.each(KINDS)(
  'reads damaged %s to a result or an InputError, and to nothing else',
  { timeout: 60_000 },
  async (kind) => {
    const specimens = loadSpecimens();
    const seen = new Set<string>();
    let refused = 0;
    for (let iteration = 0; iteration < INPUTS; iteration++) {
      const outcome = await readDamaged(specimens, 20, iteration, kind);
      seen.add(outcome.name);
      if (outcome.refused) refused++;
    }
    // The damage matters, and every file of the kind got some.
    expect(refused).toBeGreaterThan(INPUTS / 4);
    expect(seen.size).toBe(specimens.filter((specimen) => specimen.kind === kind).length);
  },
);
