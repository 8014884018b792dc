import { expect, it } from 'vitest';
import { loadSpecimens, readDamaged } from '../../bench/fuzz/target.js';

/** A taste of bench/fuzz-data.ts, with another seed. */
const INPUTS = 200;

it('reads damaged files to rows or an InputError, and to nothing else', async () => {
  const specimens = loadSpecimens();
  const seen = new Set<string>();
  let refused = 0;
  for (let iteration = 0; iteration < INPUTS; iteration++) {
    const outcome = await readDamaged(specimens, 20, iteration);
    seen.add(outcome.name);
    if (outcome.refused) refused++;
  }
  // The damage matters, and every kind of file got some.
  expect(refused).toBeGreaterThan(INPUTS / 2);
  expect(seen.size).toBeGreaterThan(20);
}, 60_000);
