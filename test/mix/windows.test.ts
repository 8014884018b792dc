import { array, assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutWindows, overflowCost } from '../../src/mix/windows.js';

describe('cutWindows()', () => {
  it('feeds every token exactly once, in windows that fit', () => {
    assert(
      property(
        integer({ min: 1, max: 5000 }),
        integer({ min: 2, max: 700 }),
        array(integer({ min: 0, max: 5000 })),
        integer({ min: 0, max: 1 }),
        (length, sequenceLength, starts, prefix) => {
          const messageStarts = [...new Set(starts.filter((at) => at < length))].sort((a, b) => a - b);
          const windows = cutWindows(length, messageStarts, { sequenceLength, overflow: 'window', prefix });
          expect(windows[0]?.start).toBe(0);
          expect(windows.at(-1)?.end).toBe(length);
          for (const [index, { start, end }] of windows.entries()) {
            expect(start).toBe(index === 0 ? 0 : windows[index - 1]?.end);
            expect(end).toBeGreaterThan(start);
            expect(end - start + (start === 0 ? 0 : prefix)).toBeLessThanOrEqual(sequenceLength);
          }
        },
      ),
    );
  });

  it('starts a window with the last message of the later half before it', () => {
    expect(cutWindows(1000, [0, 100, 300, 380, 390, 700], { sequenceLength: 400, overflow: 'window' })).toEqual([
      { start: 0, end: 390 },
      { start: 390, end: 700 },
      { start: 700, end: 1000 },
    ]);
    expect(cutWindows(500, [0, 100], { sequenceLength: 400, overflow: 'window' })).toEqual([
      { start: 0, end: 400 },
      { start: 400, end: 500 },
    ]);
  });

  it('truncates and drops when told to, and says what either costs', () => {
    expect(cutWindows(500, [], { sequenceLength: 400, overflow: 'truncate' })).toEqual([{ start: 0, end: 400 }]);
    expect(cutWindows(500, [], { sequenceLength: 400, overflow: 'drop' })).toEqual([]);
    expect(cutWindows(400, [], { sequenceLength: 400, overflow: 'drop' })).toEqual([{ start: 0, end: 400 }]);
    expect(overflowCost(500, 400)).toEqual({ window: 0, truncate: 100, drop: 500 });
    expect(overflowCost(400, 400)).toEqual({ window: 0, truncate: 0, drop: 0 });
  });
});
