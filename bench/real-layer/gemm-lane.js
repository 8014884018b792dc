import { parentPort } from 'node:worker_threads';
import { gemm } from '../../dist/runtime/matrix.js';

/** Answers each number of seconds with the floating-point operations that one thread's Gemm did in that time. */
const SHAPE = { m: 1024, n: 1024, k: 2048 };
const [a, b, out] = [SHAPE.m * SHAPE.k, SHAPE.k * SHAPE.n, SHAPE.m * SHAPE.n].map((size) =>
  new Float32Array(size).fill(0.5),
);

parentPort.on('message', (seconds) => {
  void (async () => {
    const end = performance.now() + 1000 * seconds;
    let products = 0;
    do {
      await gemm(a, b, SHAPE, { out });
      products++;
    } while (performance.now() < end);
    parentPort.postMessage(products * 2 * SHAPE.m * SHAPE.n * SHAPE.k);
  })();
});
