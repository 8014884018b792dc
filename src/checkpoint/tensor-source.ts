/** A tensor as its file declares it. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The shard's file name within the model folder, and the byte range within the file. */
  readonly shard: string;
  readonly begin: number;
  readonly end: number;
}

/** safetensors dtypes that a model in the wild may carry. */
export const DTYPE_BITS = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  F64: 64,
  I64: 64,
  U64: 64,
  F4: 4,
} as const;
export type Dtype = keyof typeof DTYPE_BITS;

/**
 * The tensors of a model folder. Reads are synchronous and by slice: they happen inside workers, and a 3-D expert
 * tensor is never read whole. Safe to open once per worker.
 */
export interface TensorSource {
  readonly directory: string;
  readonly infos: ReadonlyMap<string, TensorInfo>;
  has(name: string): boolean;
  /** Shape of the logical (dequantized) tensor; throws InputError when it is missing. */
  shape(name: string): readonly number[];
  /**
   * The tensor, or a `Slice` of it, widened to f32; fp8 blocks, mxfp4 and packed 4-bit weights decoded. Returns a
   * fresh array (onnxruntime refuses SharedArrayBuffer).
   */
  read(name: string, slice?: Slice): Float32Array;
  /** `read` into an array of the caller's, from `targetOffset` on; returns the number of elements written. */
  readInto(name: string, target: Float32Array, targetOffset?: number, slice?: Slice): number;
  /** The raw bytes as stored, for copying a tensor bit for bit. */
  readBytes(name: string, byteBegin?: number, byteEnd?: number): Uint8Array;
  close(): void;
}

/**
 * Part of a tensor: `index` fixes the first dimension (one expert of [E, …]), then `rows` restricts the next one.
 * Without `index`, `rows` restricts the first dimension, of a 1-D tensor the elements.
 */
export interface Slice {
  readonly index?: number;
  readonly rows?: readonly [from: number, to: number];
}
