import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../src/recipe/nearest.js';

describe('editDistance()', () => {
  it('counts one edit for each kind', () => {
    expect(editDistance('weight', 'wieght')).toBe(1);
    expect(editDistance('floor', 'flor')).toBe(1);
    expect(editDistance('seed', 'seeds')).toBe(1);
    expect(editDistance('seed', 'sead')).toBe(1);
  });

  it('is symmetric, zero for equals, and at most the longer length', () => {
    assert(
      property(string(), string(), (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe('nearest()', () => {
  it('suggests nothing that is too far', () => {
    expect(nearest('overflwo', ['overflow', 'seed'])).toBe('overflow');
    expect(nearest('banana', ['overflow', 'seed'])).toBeNull();
  });
});
