import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../bench/linearize.ts', import.meta.url));

interface Measured {
  readonly fusedMiB: number;
  readonly expertMiB: number;
  readonly peakMiB: number;
  readonly wrong: number;
}

it("reads an expert of Llama-4-Scout's fused tensors without holding more than that expert", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', SCRIPT, '1']);
  const { fusedMiB, expertMiB, peakMiB, wrong }: Measured = JSON.parse(stdout);
  expect(wrong).toBe(0);
  expect(fusedMiB).toBe(3840);
  // All three projections in f32, and a strip on its way through.
  expect(peakMiB).toBeLessThan(1.2 * expertMiB);
}, 60_000);
