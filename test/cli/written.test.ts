import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { documentText } from '../../src/cli/written.js';

it('documentText() is the same document, rows of numbers on one line', () => {
  expect(documentText({ a: [1, -2.5, 3e-7], b: [[1], []] })).toBe(
    '{\n "a": [1,-2.5,3e-7],\n "b": [\n  [1],\n  []\n ]\n}\n',
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(documentText(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
