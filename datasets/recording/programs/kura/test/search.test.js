import test from 'node:test';
import assert from 'node:assert/strict';
import { Index } from '../src/search.js';

const index = new Index([
  { id: 'K-1', name: '唐箕', kind: '農具' },
  { id: 'K-2', name: 'SINGER ミシン', kind: '裁縫' },
]);

test('名称で見つかる', () => {
  assert.deepEqual(index.find('唐箕').map((item) => item.id), ['K-1']);
});

test('大文字と小文字を区別しない', () => {
  assert.deepEqual(index.find('singer').map((item) => item.id), ['K-2']);
});

test('語はすべて含まれなければならない', () => {
  assert.deepEqual(index.find('singer 農具'), []);
});
