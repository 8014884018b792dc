import { describe, expect, it } from 'vitest';
import { capitalize, strip } from '../../src/text/python-strings.js';

describe('strip()', () => {
  it('takes off only the characters given', () => {
    expect(strip('\n\n  x \n', '\n', 'both')).toBe('  x ');
    expect(strip('--a]-', '-]', 'both')).toBe('a');
    expect(strip('😀😀x😀', '😀', 'right')).toBe('😀😀x');
    expect(strip('  x', '', 'left')).toBe('  x');
  });

  it("knows Python's white space, not JavaScript's", () => {
    expect(strip('\u001c\u0085 x \u3000', null, 'both')).toBe('x');
    expect(strip('\uFEFFx', null, 'left')).toBe('\uFEFFx');
  });

  it('is linear in runs of white space', () => {
    const text = `${'\n '.repeat(200_000)}x${' \n'.repeat(200_000)}y`;
    const started = performance.now();
    expect(strip(text, null, 'right')).toBe(text);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('capitalize()', () => {
  it('lowers the rest, as Python does', () => {
    expect(capitalize('eLL')).toBe('Ell');
    expect(capitalize('')).toBe('');
  });
});
