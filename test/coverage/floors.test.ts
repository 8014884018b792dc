import { describe, expect, test } from 'vitest';
import { floorName, splitFloors } from '../../src/coverage/floors.js';
import { parseFloors } from '../../src/cli/options.js';

describe('floorName()', () => {
  test('takes languages in any spelling, channels, and length', () => {
    expect(
      ['el', 'Greek', 'ell', 'zh-TW', 'Reasoning', 'tool', 'length', 'und'].map((name) => floorName(name)),
    ).toEqual(['el', 'el', 'el', 'zh-Hant', 'reasoning', 'tool', 'length', 'und']);
  });

  test('refuses what names nothing', () => {
    expect(() => floorName('tools')).toThrow(
      "set a floor for 'tools': wanted a language, a channel (system, user, assistant, reasoning, tool, text) or length",
    );
  });
});

test('splitFloors() tells languages, channels and length apart', () => {
  expect(splitFloors({ el: 200, text: 10, length: 128 })).toEqual({
    languages: { el: 200 },
    channels: { text: 10 },
    length: 128,
  });
  expect(splitFloors({})).toEqual({ languages: {}, channels: {}, length: null });
});

describe('parseFloors()', () => {
  test('reads the general floor and floors by name', () => {
    expect(parseFloors('64')).toEqual({ floor: 64, floors: {} });
    expect(parseFloors('0, Greek=200,tool=5')).toEqual({ floor: 0, floors: { el: 200, tool: 5 } });
  });

  test.each([
    ['el=200', "wanted a whole number first, got 'el=200'"],
    ['64,el', "wanted NAME=TOKENS, got 'el'"],
    ['64,el=-1', "wanted NAME=TOKENS, got 'el=-1'"],
    ['64,toool=1', "set a floor for 'toool'"],
  ])('refuses %s', (text, message) => expect(() => parseFloors(text)).toThrow(message));
});
