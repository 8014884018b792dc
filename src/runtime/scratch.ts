import { release } from './workers.js';

/**
 * Buffers of a lane that are used again and again, by name. Every fresh typed array counts against V8's limit on memory
 * outside its heap: with one per call of onnxruntime, a lane collected garbage 115 times in 10 s, and its memory grew to
 * twice what it worked on.
 */
export interface Scratch {
  /** `length` values with whatever was left in them, valid until the same name is asked for again. */
  floats(name: string, length: number): Float32Array;
  /** Gives all buffers back, if they hold more than so many bytes: other work needs others. */
  clear(beyondBytes?: number): void;
}

export function createScratch(): Scratch {
  const buffers = new Map<string, Float32Array>();
  return {
    floats(name, length) {
      let buffer = buffers.get(name);
      if (buffer === undefined || buffer.length < length) {
        // The smaller one goes first, or both would stand in memory.
        buffers.delete(name);
        buffers.set(name, (buffer = new Float32Array(length)));
      }
      return buffer.subarray(0, length);
    },
    clear(beyondBytes = 0) {
      const bytes = [...buffers.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
      if (bytes <= beyondBytes) return;
      release([...buffers.values()]);
      buffers.clear();
    },
  };
}
