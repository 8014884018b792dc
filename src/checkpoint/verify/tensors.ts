import type { Checkpoint } from '../open.js';
import { elementCount } from '../slice.js';
import type { LogicalTensor } from '../logical.js';
import type { Finding } from './finding.js';
import type { PackedModule } from './packing.js';

/** Bytes compared, and elements decoded, at a time. */
const CHUNK = 4 << 20;

/** A tensor of the output that comes from a fused one of the source, by its logical name. */
export interface OutputPart {
  /** `….experts.3.gate_proj.weight`, or `.bias`. */
  readonly name: string;
  readonly shape: readonly number[];
}

/** Which source tensors do not simply reappear under their own name with their own bytes. */
export interface Correspondence {
  /** Fused source tensor → the tensors of its linearized experts. */
  readonly linearized: ReadonlyMap<string, readonly OutputPart[]>;
  /** Source tensors whose values smoothing may have changed: norms, biases, routers and the like. */
  readonly rewritten: ReadonlySet<string>;
}

/** Every source tensor is in the output: copied bit for bit, rewritten, or as its quantized set; and nothing else is. */
export function* verifySource(
  output: Checkpoint,
  model: Checkpoint,
  packed: ReadonlyMap<string, PackedModule>,
  how: Correspondence,
): Generator<Finding> {
  const expected = new Set<string>();
  for (const source of model.tensors.values()) {
    const parts = how.linearized.get(source.name);
    if (parts !== undefined && !output.tensors.has(source.name)) {
      for (const part of parts) {
        expected.add(part.name);
        yield* verifyPart(output, packed, part, source.name);
      }
      continue;
    }
    expected.add(source.name);
    const copied = source.encoding === 'plain' && !how.rewritten.has(source.name);
    const found = output.tensors.get(source.name);
    if (copied && found?.encoding === 'plain') yield* verifyCopy(output, model, source.name);
    else yield* verifyPart(output, packed, source, source.name);
  }
  for (const { name, parts } of output.tensors.values()) {
    if (expected.has(name)) continue;
    yield { check: 'leftover', subject: parts[0]!, message: 'comes from no tensor of the source' };
  }
}

/** There, of the right shape, and finite. */
function* verifyPart(
  output: Checkpoint,
  packed: ReadonlyMap<string, PackedModule>,
  { name, shape }: OutputPart,
  source: string,
): Generator<Finding> {
  const found = output.tensors.get(name);
  if (found === undefined) {
    const message = name === source ? 'is missing' : `is missing; '${source}' of the source should be split into it`;
    yield { check: 'source', subject: name, message };
    return;
  }
  const isPlain = found.encoding === 'plain';
  // Packed Linears that are not sound have been reported already.
  const got = isPlain ? found.shape : packed.get(name.slice(0, -'.weight'.length))?.shape;
  if (got === undefined) return;
  if (got.join() !== shape.join()) {
    yield { check: 'source', subject: name, message: `wanted shape [${shape.join(', ')}], got [${got.join(', ')}]` };
  } else if (isPlain && !isFinite(found)) {
    yield { check: 'source', subject: name, message: 'holds NaN or infinity' };
  }
}

function isFinite(tensor: LogicalTensor): boolean {
  const count = elementCount(tensor.shape);
  const values = new Float32Array(Math.min(CHUNK, count));
  for (let begin = 0; begin < count; begin += CHUNK) {
    const length = Math.min(CHUNK, count - begin);
    tensor.decode(begin, begin + length, values, 0);
    if (!values.subarray(0, length).every(Number.isFinite)) return false;
  }
  return true;
}

function* verifyCopy(output: Checkpoint, model: Checkpoint, name: string): Generator<Finding> {
  const [got, wanted] = [output.infos.get(name)!, model.infos.get(name)!];
  if (got.dtype !== wanted.dtype || got.shape.join() !== wanted.shape.join()) {
    const message = `wanted ${wanted.dtype} [${wanted.shape.join(', ')}], got ${got.dtype} [${got.shape.join(', ')}]`;
    yield { check: 'source', subject: name, message };
    return;
  }
  const size = wanted.end - wanted.begin;
  for (let begin = 0; begin < size; begin += CHUNK) {
    const end = Math.min(size, begin + CHUNK);
    if (Buffer.compare(output.readBytes(name, begin, end), model.readBytes(name, begin, end)) !== 0) {
      yield { check: 'source', subject: name, message: 'was to be copied, but its bytes differ from the source' };
      return;
    }
  }
}

/** All experts of a layer are quantized alike, or none is: runtimes hold them in one tensor. */
export function* verifyExperts(
  packed: ReadonlyMap<string, PackedModule>,
  unquantized: readonly string[],
): Generator<Finding> {
  const blocks = new Map<string, string[]>();
  for (const module of [...packed.keys(), ...unquantized]) {
    const prefix = /^(.*\.experts)\.\d+\./.exec(module)?.[1];
    if (prefix === undefined) continue;
    const members = blocks.get(prefix);
    if (members === undefined) blocks.set(prefix, [module]);
    else members.push(module);
  }
  for (const [prefix, members] of blocks) {
    // Projections by channel differ in width, but not in scheme.
    const byChannel = members.every((module) => packed.get(module)?.groupSize === packed.get(module)?.shape[1]);
    const kinds = new Map(members.map((module) => [describe(packed.get(module), byChannel), module]));
    if (kinds.size < 2) continue;
    const examples = Array.from(kinds, ([how, module]) => `'${module}' is ${how}`);
    yield { check: 'experts', subject: prefix, message: `wanted one scheme for all experts: ${examples.join(', ')}` };
  }
}

function describe(module: PackedModule | undefined, byChannel: boolean): string {
  if (module === undefined) return 'unquantized';
  const grouping = byChannel ? 'by channel' : `group ${module.groupSize}`;
  return `${module.bits} bits, ${module.symmetric ? 'symmetric' : 'asymmetric'}, ${grouping}`;
}
