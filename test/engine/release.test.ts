import { describe, expect, it } from 'vitest';
import { release } from '../../src/runtime/workers.js';

const MEBIBYTES = 256;

describe('release()', () => {
  it('gives memory back without waiting for the collector', async () => {
    const array = new Float32Array((MEBIBYTES * 2 ** 20) / 4).fill(1);
    const before = process.memoryUsage.rss();
    release([array, null]);
    expect(array.length).toBe(0);
    await expect
      .poll(() => (before - process.memoryUsage.rss()) / 2 ** 20, { timeout: 5000 })
      .toBeGreaterThan(0.8 * MEBIBYTES);
  });
});
