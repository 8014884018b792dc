import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { startLanes } from '../../src/runtime/workers.js';

interface Jobs {
  count: { job: { readonly parts: number }; part: number; result: number };
}

const lanes = startLanes<Jobs>(new URL('./hand-over-lane.js', import.meta.url), 1);
afterAll(() => lanes.close());

describe('a job that hands over parts', () => {
  it('is answered behind the last of them, which are taken one after the other', async () => {
    const taken: number[] = [];
    const take = async (part: number): Promise<void> => {
      await setTimeout(part % 3);
      taken.push(part);
    };
    expect(await lanes.call(0, 'count', { parts: 20 }, { take })).toBe(20);
    expect(taken).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('fails with what fails to take one, and takes no more', async () => {
    const taken: number[] = [];
    const take = async (part: number): Promise<void> => {
      if (part === 3) throw new Error('disk full');
      taken.push(part);
    };
    await expect(lanes.call(0, 'count', { parts: 8 }, { take })).rejects.toThrow('disk full');
    expect(taken).toEqual([0, 1, 2]);
    expect(await lanes.call(0, 'count', { parts: 1 })).toBe(1);
  });
});
