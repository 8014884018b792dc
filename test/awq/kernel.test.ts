import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { withKernel } from '../../src/awq/kernel.js';
import { compileKernel } from './compile-kernel.js';

it('kernel-binary.ts is what kernel.as compiles to', async () => {
  const committed = await readFile(new URL('../../src/awq/kernel-binary.ts', import.meta.url), 'utf8');
  expect(await compileKernel()).toBe(committed);
});

it('withKernel() lends separate memories to concurrent callers', async () => {
  const values = await Promise.all(
    [1, 2, 3].map((value) =>
      withKernel(1024, 1, async (kernel) => {
        const view = kernel.floats(1024).fill(value);
        await new Promise((resolve) => setTimeout(resolve, 5));
        return kernel.dot(view.byteOffset, view.byteOffset, 1024);
      }),
    ),
  );
  expect(values).toEqual([1024, 4096, 9216]);
});

it('withKernel() refuses more than was asked for', async () => {
  await expect(withKernel(16, 1, async (kernel) => kernel.floats(1e7))).rejects.toThrow(RangeError);
});
