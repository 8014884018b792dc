import type { EncodedTensor } from '../../src/checkpoint/encode.js';

/** A safetensors file in memory, built apart from the code under test. */
export function safetensorsBytes(tensors: readonly EncodedTensor[]): Buffer {
  let position = 0;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [position, (position += bytes.length)] };
  }
  return rawSafetensors(JSON.stringify(header), ...tensors.map(({ bytes }) => bytes));
}

/** Any text as the header of a safetensors file. */
export function rawSafetensors(header: string, ...data: Uint8Array[]): Buffer {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...data]);
}
