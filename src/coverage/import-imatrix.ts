import { InputError } from '../errors.js';
import type { Coverage } from './coverage.js';
import { openGguf, type GgufFile } from './gguf-file.js';
import { importedCoverage } from './imported.js';

/** Weights of routed experts, by preference: all of a layer's see the same tokens. */
const EXPERT_WEIGHTS = ['gate', 'gate_up', 'up', 'down'] as const;
const EXPERT_COUNTS = /^blk\.(\d+)\.ffn_(gate|gate_up|up|down)_exps\.weight\.counts$/;
/** More experts than any model has in a layer. */
const MOST_EXPERTS = 65_536;

/**
 * Reads what llama.cpp's `llama-imatrix` counted (GGUF form): tokens per expert, in `blk.N.ffn_*_exps.weight.counts`.
 * It knows no languages, samples or gate weights. Shared experts and dense layers have no routing and are left out.
 *
 * @throws InputError when the file is not an imatrix, or of a model without experts
 */
export async function importImatrix(path: string, floor: number): Promise<Coverage> {
  const file = await openGguf(path);
  try {
    const fail = (problem: string): never => {
      throw new InputError(`import imatrix: ${problem}`, { location: { file: path } });
    };
    const type = file.metadata.get('general.type');
    if (type !== 'imatrix') return fail(`wanted general.type 'imatrix', got ${JSON.stringify(type ?? null)}`);
    const chunks = wholeNumber(file, 'imatrix.chunk_count');
    const chunkSize = wholeNumber(file, 'imatrix.chunk_size');
    const layers = await readLayers(file, fail);
    if (layers.length === 0) return fail('no tensor counts routed experts: the model is dense');
    const tokens = (await tokensOfDenseWeights(file)) ?? chunks * chunkSize;
    const architecture = file.metadata.get('general.architecture');
    return importedCoverage({
      format: 'imatrix',
      path,
      architecture: typeof architecture === 'string' ? architecture : 'llama.cpp model',
      tokens,
      sequences: chunks,
      sequenceLength: chunkSize,
      layers: layers.map(({ layer, routed }) => ({
        layer,
        routed,
        topK: tokens === 0 ? 0 : Math.round(routed.reduce((sum, count) => sum + count, 0) / tokens),
      })),
      floor,
    });
  } finally {
    await file.close();
  }
}

async function readLayers(file: GgufFile, fail: (problem: string) => never) {
  const best = new Map<number, { readonly name: string; readonly rank: number }>();
  for (const name of file.tensors.keys()) {
    const [, layer, part] = EXPERT_COUNTS.exec(name) ?? [];
    if (layer === undefined) continue;
    const rank = EXPERT_WEIGHTS.findIndex((weight) => weight === part);
    if (rank < (best.get(Number(layer))?.rank ?? Infinity)) best.set(Number(layer), { name, rank });
  }
  const layers: { readonly layer: number; readonly routed: readonly number[] }[] = [];
  for (const [layer, { name }] of [...best].sort(([a], [b]) => a - b)) {
    const tensor = file.tensors.get(name)!;
    const experts = tensor.shape.reduce((product, length) => product * length, 1);
    if (experts < 1 || experts > MOST_EXPERTS) return fail(`tensor '${name}' counts ${experts} experts`);
    layers.push({ layer, routed: Array.from(await file.readF32(tensor), (count) => checkCount(count, name, fail)) });
  }
  return layers;
}

function checkCount(count: number, name: string, fail: (problem: string) => never): number {
  return Number.isInteger(count) && count >= 0 ? count : fail(`tensor '${name}' counts ${count} tokens`);
}

/** Weights that are not expert by expert see every token: the largest of their counts. Null when there are none. */
async function tokensOfDenseWeights(file: GgufFile): Promise<number | null> {
  let tokens: number | null = null;
  for (const [name, tensor] of file.tensors) {
    if (!name.endsWith('.counts') || tensor.shape.some((length) => length !== 1)) continue;
    const [count = 0] = await file.readF32(tensor);
    if (Number.isInteger(count) && count >= 0) tokens = Math.max(tokens ?? 0, count);
  }
  return tokens;
}

function wholeNumber(file: GgufFile, key: string): number {
  const value = file.metadata.get(key);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
