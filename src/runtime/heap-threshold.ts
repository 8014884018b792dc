import { release } from './workers.js';

/** Just below the largest block that raises the threshold, 32 MiB on 64-bit systems. */
const BLOCK_BYTES = 31 * 2 ** 20;

/**
 * glibc maps each block above a threshold, 128 KiB at first, anew, and gives what is free beyond twice of it back to the
 * system; freeing a mapped block raises the threshold to its size. So the activations of a batch were cleared and faulted
 * in at every call, until by chance some large block was freed: a seventh of all page faults of a short run. One such block
 * is freed here, and never touched. Elsewhere this does nothing.
 */
export function raiseHeapThreshold(): void {
  release([new Float32Array(BLOCK_BYTES / Float32Array.BYTES_PER_ELEMENT)]);
}
