import { expect, test } from 'vitest';
import { fuzzSafetensors } from '../../bench/fuzz-safetensors.js';

test('2,000 mutated files are read or refused, none crashes or hangs', () => {
  const result = fuzzSafetensors(2000, 20261122);
  expect(result.failures).toEqual([]);
  // Both ways out must have been taken, or the mutations miss their aim.
  expect(result.read).toBeGreaterThan(50);
  expect(result.refused).toBeGreaterThan(500);
});
