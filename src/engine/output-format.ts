import { autoawq } from '../checkpoint/autoawq.js';
import { compressedTensors } from '../checkpoint/compressed-tensors.js';
import type { CheckpointFormat } from '../checkpoint/format.js';

/** Every output format, by the name that a recipe uses. */
const FORMATS = { 'compressed-tensors': compressedTensors, autoawq } as const satisfies Record<
  string,
  CheckpointFormat
>;

export function outputFormat(name: keyof typeof FORMATS): CheckpointFormat {
  return FORMATS[name];
}
