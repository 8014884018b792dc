import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { patternProblem, pythonMatch } from '../../src/checkpoint/python-regex.js';

/** From ignore lists and targets in the wild, and one for each thing that the two languages read differently. */
const PATTERNS = [
  '.*mlp.gate$',
  '.*mlp[.]gate$',
  'model[.]visual.*',
  '.*self_attn\\.(k|q|o|v)_proj$',
  '.*(q|q_a)_proj$',
  '.*mlp.experts.*.gate_proj$',
  '.*language_model.layers.\\d+.input_layernorm$',
  '(?!.*mlp\\.experts\\.).*',
  '.*layers\\.([0-2]|61)\\..*',
  '.*layers\\.\\d{,1}\\.mlp.*',
  '(?i).*LM_HEAD',
  '(?P<side>left|right)\\.(?P=side)$',
  '\\Amodel',
  '.*gate\\Z',
  '.*(?#the router)gate$',
  '[]_a-z.0-9]+$',
  '[^]x]+$',
  '.*(?<=mlp\\.)gate$',
  '.*[\\w.]+_proj$',
  'model|lm',
  '',
];
const NAMES = [
  'lm_head',
  'model.layers.0.mlp.gate',
  'model.layers.0.mlp.gate_proj',
  'model.layers.61.mlp.experts.3.gate_proj',
  'model.layers.7.self_attn.q_proj',
  'model.language_model.layers.12.input_layernorm',
  'model.visual.blocks.0.attn.qkv',
  'left.left',
  'left.right',
  'a]b',
  'x',
];
/** What Python refuses, or what has no counterpart: never quietly something else. */
const REFUSED = [
  '(',
  'a**',
  '[a',
  '\\y',
  '\\p{L}',
  '(?P<1a>x)',
  '*a',
  'a\\',
  '(?x) a',
  '(?>a)b',
  'a++b',
  '\\N{BULLET}',
];

describe('pythonMatch()', () => {
  test("finds what Python's own re.match finds", () => {
    const script =
      'import json,re,sys; p,n=json.load(sys.stdin); json.dump([[bool(re.match(x,y)) for y in n] for x in p],sys.stdout)';
    const input = JSON.stringify([PATTERNS, NAMES]);
    const wanted: unknown = JSON.parse(execFileSync('python3', ['-c', script], { input, encoding: 'utf8' }));
    expect(PATTERNS.map((pattern) => NAMES.map((name) => pythonMatch(pattern).test(name)))).toEqual(wanted);
  });

  test.each(REFUSED)('refuses %s', (pattern) => {
    expect(() => pythonMatch(pattern)).toThrow(/^read pattern 're:/);
    expect(patternProblem(`re:${pattern}`)).not.toMatch(/^(read pattern|Invalid regular)|^$/);
  });
});
