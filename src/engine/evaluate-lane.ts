import { openCheckpoint } from '../checkpoint/open.js';
import { divergenceGraph } from '../graph/divergence.js';
import { planModel } from '../model/registry.js';
import { openRowStore, type RowStoreDescriptor } from '../runtime/row-store.js';
import { createWeightReader, loadBindings, readWeight } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import { addSpan, createPartitions, klDivergence, type TokenDivergence } from '../evaluate/divergence.js';
import type { LaneModel } from './forward-lane.js';

/** Compares next-token distributions of tokens [from, to), given both models' last hidden states. */
export interface DivergenceJob {
  readonly other: string;
  readonly hidden: RowStoreDescriptor;
  readonly otherHidden: RowStoreDescriptor;
  readonly ids: SharedArrayBuffer;
  /** First row behind the sequence of each row: the last row of a sequence has no next token. */
  readonly ends: Int32Array;
  readonly from: number;
  readonly to: number;
}

/** Values of one logits matrix: rows × vocabulary span. */
const LOGIT_VALUES = 4 * 2 ** 20;
const ROWS = 128;

export async function divergence(model: LaneModel, job: DivergenceJob): Promise<Handled> {
  const otherCheckpoint = job.other === model.checkpoint.directory ? model.checkpoint : openCheckpoint(job.other);
  const other = otherCheckpoint === model.checkpoint ? model.plan : planModel(otherCheckpoint);
  const graph = divergenceGraph(model.plan, other);
  const own = prefixed(graph.bindings.keys(), 'p.', loadBindings(createWeightReader(model.checkpoint), graph.bindings));
  const others = prefixed(
    graph.bindings.keys(),
    'q.',
    loadBindings(createWeightReader(otherCheckpoint), graph.bindings),
  );
  const { vocabularySize, hiddenSize } = model.plan;
  const total = job.to - job.from;
  const result: TokenDivergence = {
    kl: new Float64Array(total),
    surprise: new Float64Array(total).fill(NaN),
    otherSurprise: new Float64Array(total).fill(NaN),
    agrees: new Uint8Array(total),
  };
  const ids = new Int32Array(job.ids);
  const stores = [openRowStore(job.hidden), openRowStore(job.otherHidden)] as const;
  // A head bias is bound whole, so its vocabulary is not cut into spans.
  const span =
    model.plan.head.bias === null ? Math.min(vocabularySize, Math.floor(LOGIT_VALUES / ROWS)) : vocabularySize;
  const heads = new Map<number, readonly [Float32Array, Float32Array]>();
  const headRows = (first: number, count: number): readonly [Float32Array, Float32Array] => {
    let rows = heads.get(first);
    if (rows !== undefined) return rows;
    const read = (checkpoint: typeof otherCheckpoint, tensor: string): Float32Array =>
      readWeight(checkpoint, { tensor, rows: { from: first, to: first + count, step: 1 } }).data;
    const reference = read(model.checkpoint, model.plan.head.weight.tensor);
    const same = otherCheckpoint === model.checkpoint;
    rows = [reference, same ? reference : read(otherCheckpoint, other.head.weight.tensor)];
    // A small vocabulary stays; a large one is read again for every chunk of rows.
    if (span === vocabularySize) heads.set(first, rows);
    return rows;
  };
  for (let from = job.from; from < job.to; from += ROWS) {
    const count = Math.min(ROWS, job.to - from);
    const x = stores.map((store) => {
      const rows = new Float32Array(count * hiddenSize);
      store.read(from, count, rows);
      return { data: rows, shape: [count, hiddenSize] };
    });
    const partitions = createPartitions(count);
    const targets = [new Float64Array(count), new Float64Array(count)] as const;
    for (let first = 0; first < vocabularySize; first += span) {
      const width = Math.min(span, vocabularySize - first);
      const [p, q] = headRows(first, width);
      const out = await model.sessions.run(graph, {
        ...own,
        ...others,
        'p.x': x[0]!,
        'q.x': x[1]!,
        'p.head': { data: p, shape: [width, hiddenSize] },
        'q.head': { data: q, shape: [width, hiddenSize] },
      });
      const pair = (name: string): readonly [Float32Array, Float32Array] => [out[`p.${name}`]!, out[`q.${name}`]!];
      addSpan(partitions, { first: pair('first'), log: pair('log'), share: out['p.share']! }, first);
      for (const [side, head, normed] of [
        [0, p, out['p.normed']!],
        [1, q, out['q.normed']!],
      ] as const) {
        const { divisor, softcap } = side === 0 ? model.plan.head : other.head;
        for (let t = 0; t < count; t++) {
          if (from + t + 1 >= job.ends[from + t - job.from]!) continue;
          const target = ids[from + t + 1]! - first;
          if (target < 0 || target >= width) continue;
          const logit = dot(head, target * hiddenSize, normed, t * hiddenSize, hiddenSize) / divisor;
          targets[side][t] = softcap === null ? logit : Math.tanh(logit / softcap) * softcap;
        }
      }
    }
    for (let t = 0; t < count; t++) {
      const at = from - job.from + t;
      result.kl[at] = klDivergence(partitions, t);
      result.agrees[at] = partitions.best[0][t] === partitions.best[1][t] ? 1 : 0;
      if (from + t + 1 >= job.ends[at]!) continue;
      result.surprise[at] = partitions.log[0][t]! - targets[0][t]!;
      result.otherSurprise[at] = partitions.log[1][t]! - targets[1][t]!;
    }
  }
  for (const store of stores) store.close();
  if (otherCheckpoint !== model.checkpoint) otherCheckpoint.close();
  return { result };
}

function prefixed<T>(names: Iterable<string>, prefix: string, feeds: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries([...names].filter((name) => name.startsWith(prefix)).map((name) => [name, feeds[name]!]));
}

function dot(a: Float32Array, aFrom: number, b: Float32Array, bFrom: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aFrom + i]! * b[bFrom + i]!;
  return sum;
}
