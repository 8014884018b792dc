import { describe, expect, test } from 'vitest';
import { unroutedSentence } from '../../src/report/unrouted.js';

function cell(layer: number, expert: number, tokens: number, shrinkageWeight = 1) {
  return { layer, expert, tokens, shrinkageWeight, relativeError: 0.1 };
}

describe('unroutedSentence()', () => {
  test('is silent where every expert got a token', () => {
    expect(unroutedSentence([cell(0, 0, 5), cell(0, 1, 1)])).toBeNull();
    expect(unroutedSentence([])).toBeNull();
  });

  test('names experts layer by layer, and what they were quantized with', () => {
    const cells = [cell(0, 3, 0), cell(1, 2, 9), cell(2, 1, 0), cell(2, 7, 0)];
    expect(unroutedSentence(cells)).toBe(
      "No token was routed to 3 experts: layer 0 expert 3; layer 2 experts 1, 7. They are quantized in the format of the others, with their layer's statistics.",
    );
    expect(unroutedSentence(cells, 2)).toContain('layer 0 expert 3; layer 2 expert 1; and 1 more.');
    expect(unroutedSentence([cell(0, 3, 0, 0)])).toContain('by their weights alone');
  });
});
