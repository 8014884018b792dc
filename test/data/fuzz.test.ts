import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { KINDS, loadSpecimens, readDamaged, type Kind } from '../../bench/fuzz/target.js';

/** A taste of bench/fuzz.ts, with another seed. */
const INPUTS = 60;
/** Of the small and quick ones. */
const MORE: Partial<Record<Kind, number>> = { safetensors: 2000, gguf: 3000 };

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-fuzz-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

it.each(KINDS)(
  'reads damaged %s to a result or an InputError, and to nothing else',
  { timeout: 60_000 },
  async (kind) => {
    const specimens = loadSpecimens();
    const inputs = MORE[kind] ?? INPUTS;
    const seen = new Set<string>();
    let refused = 0;
    for (let iteration = 0; iteration < inputs; iteration++) {
      const outcome = await readDamaged(specimens, 20, iteration, kind, folder);
      seen.add(outcome.name);
      if (outcome.refused) refused++;
    }
    // The damage matters, not all of it is fatal to small inputs, and every file of the kind got some.
    expect(refused).toBeGreaterThan(inputs / 4);
    if (inputs > INPUTS) expect(inputs - refused).toBeGreaterThan(inputs / 40);
    expect(seen.size).toBe(specimens.filter((specimen) => specimen.kind === kind).length);
    expect(readdirSync(folder)).toEqual([]);
  },
);
