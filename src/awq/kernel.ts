import { KERNEL_BASE64 } from './kernel-binary.js';

/** What kernel.as exports. Pointers are byte offsets: pass a view's `byteOffset`. */
export interface KernelFunctions {
  extremes(w: number, rows: number, lanes: number, least: number, most: number): void;
  parameters(
    least: number,
    most: number,
    ratio: number,
    offset: number,
    offsetHigh: number,
    lanes: number,
    mode: number,
    levels: number,
    half: number,
    isF16: number,
    epsilon: number,
    scale: number,
    zero: number,
  ): void;
  roundGroup(
    w: number,
    rows: number,
    lanes: number,
    scale: number,
    zero: number,
    half: number,
    codes: number,
    error: number,
  ): void;
  errorOfCodes(w: number, rows: number, lanes: number, scale: number, zero: number, codes: number, error: number): void;
  roundSmoothed(
    w: number,
    smooth: number,
    rows: number,
    lanes: number,
    mode: number,
    levels: number,
    half: number,
    isF16: number,
    epsilon: number,
    scratch: number,
    ratio: number,
    error: number,
    errorStride: number,
  ): void;
  laneDot(a: number, b: number, rows: number, lanes: number, out: number): void;
  columnLosses(a: number, b: number, rows: number, count: number, lanes: number, losses: number): void;
  keepBetter(
    lanes: number,
    loss: number,
    ratio: number,
    offset: number,
    offsetHigh: number,
    scale: number,
    zero: number,
    bestLoss: number,
    bestRatio: number,
    bestScale: number,
    bestZero: number,
  ): void;
  feedback(
    target: number,
    weight: number,
    error: number,
    rows: number,
    lanes: number,
    unit: number,
    pivots: number,
    parameterRow: number,
    scale: number,
    zero: number,
    half: number,
    codeRow: number,
    codes: number,
    loss: number,
  ): void;
  centre(codes: number, zero: number, rows: number, lanes: number, centred: number): void;
  stepScale(scale: number, slope: number, curvature: number, lanes: number, isF16: number, step: number): number;
  addScaled(factor: number, x: number, y: number, rows: number, lanes: number): void;
  descend(
    error: number,
    codes: number,
    slope: number,
    rows: number,
    lanes: number,
    gram: number,
    parameterRow: number,
    scale: number,
    half: number,
  ): number;
  dot(a: number, b: number, count: number): number;
  factorBlock(a: number, n: number, floor: number, inverse: number): number;
}

/** The SIMD kernels over a memory of their own, and a bump allocator in it. */
export interface Kernel extends KernelFunctions {
  /** A fresh, zeroed view of `length` f32 values in the kernel's memory. */
  floats(length: number): Float32Array;
  /** A fresh, zeroed view of `length` f64 values. */
  doubles(length: number): Float64Array;
  /** A fresh, zeroed view of `length` u32 values. */
  integers(length: number): Uint32Array;
}

const PAGE_BYTES = 65_536;
const ALIGNMENT = 64;
/** WebAssembly's 32-bit address space. */
const MAX_PAGES = 65_536;

interface Instance {
  readonly memory: WebAssembly.Memory;
  readonly functions: KernelFunctions;
}

let compiled: WebAssembly.Module | undefined;
const idle: Instance[] = [];

/**
 * Lends a kernel with room for `views` views of `values` 4-byte values in all, and takes it back when `work` is done.
 * The memory is kept for the next caller, so a worker holds as much as its largest piece of work needed.
 */
export async function withKernel<T>(values: number, views: number, work: (kernel: Kernel) => Promise<T>): Promise<T> {
  const instance = idle.pop() ?? instantiate();
  try {
    const bytes = ALIGNMENT + values * 4 + views * ALIGNMENT;
    const missing = Math.ceil(bytes / PAGE_BYTES) - instance.memory.buffer.byteLength / PAGE_BYTES;
    if (missing > 0) instance.memory.grow(missing);
    return await work(lend(instance));
  } finally {
    idle.push(instance);
  }
}

function instantiate(): Instance {
  compiled ??= new WebAssembly.Module(Buffer.from(KERNEL_BASE64, 'base64'));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });
  const { exports } = new WebAssembly.Instance<KernelFunctions>(compiled, { env: { memory } });
  return { memory, functions: exports };
}

function lend({ memory, functions }: Instance): Kernel {
  // Byte 0 stays unused: kernels read a null pointer as "not wanted".
  let next = ALIGNMENT;
  const claim = (bytes: number): number => {
    const at = next;
    next = Math.ceil((at + bytes) / ALIGNMENT) * ALIGNMENT;
    if (next > memory.buffer.byteLength) {
      throw new RangeError(`Kernel memory of ${memory.buffer.byteLength} bytes is too small for ${next} bytes`);
    }
    return at;
  };
  return {
    ...functions,
    floats: (length) => new Float32Array(memory.buffer, claim(length * 4), length).fill(0),
    doubles: (length) => new Float64Array(memory.buffer, claim(length * 8), length).fill(0),
    integers: (length) => new Uint32Array(memory.buffer, claim(length * 4), length).fill(0),
  };
}
