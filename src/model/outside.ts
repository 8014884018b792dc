import type { TensorSource } from '../checkpoint/tensor-source.js';
import type { KeptModule } from './plan.js';

const MULTIMODAL = 'not part of the language model: copied bit for bit';
const PREDICTION = 'multi-token prediction: copied bit for bit, only speculative decoding uses it';

/**
 * What a checkpoint holds beside the decoder `root` with its `layers` and its head: towers and projectors of a
 * multimodal model, and layers for multi-token prediction, which are stored as `mtp` or behind the last layer.
 */
export function modulesOutside(source: TensorSource, root: string, layers: number): KeptModule[] {
  const kept = new Map<string, string>();
  const within = root.split('.');
  for (const name of source.infos.keys()) {
    const path = name.split('.');
    const shared = within.findIndex((part, i) => part !== path[i]);
    const [part = '', index] = path.slice(shared === -1 ? within.length : shared);
    if (part === '') continue;
    if (part.startsWith('mtp')) kept.set(`re:(.*\\.)?${part}\\..*`, PREDICTION);
    else if (shared !== -1 && part !== 'lm_head') kept.set(`re:(.*\\.)?${part}\\..*`, MULTIMODAL);
    else if (part === 'layers' && Number(index) >= layers) kept.set(`re:.*layers\\.${index}\\..*`, PREDICTION);
  }
  return [...kept].map(([pattern, reason]) => ({ pattern, reason }));
}
