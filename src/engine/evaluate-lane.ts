import { openCheckpoint } from '../checkpoint/open.js';
import { divergenceGraph } from '../graph/divergence.js';
import { planModel } from '../model/registry.js';
import { openRowStore, type RowStoreDescriptor } from '../runtime/row-store.js';
import type { Feed } from '../runtime/sessions.js';
import { createWeightReader, loadBindings, readWeight } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import { addSpan, createPartitions, klDivergence, type TokenDivergence } from '../evaluate/divergence.js';
import type { LaneModel } from './forward-lane.js';

/** Compares next-token distributions of tokens [from, to) with a reference's, given both models' last hidden states. */
export interface DivergenceJob {
  /** Its folder. */
  readonly reference: string;
  readonly referenceHidden: RowStoreDescriptor;
  readonly hidden: RowStoreDescriptor;
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
  const shared = job.reference === model.checkpoint.directory;
  const checkpoint = shared ? model.checkpoint : openCheckpoint(job.reference);
  const reference = shared ? model.plan : planModel(checkpoint);
  const graph = divergenceGraph(reference, model.plan);
  const bound = (side: string, from: typeof checkpoint): Record<string, Feed> =>
    loadBindings(createWeightReader(from), new Map([...graph.bindings].filter(([name]) => name.startsWith(side))));
  const weights = { ...bound('p.', checkpoint), ...bound('q.', model.checkpoint) };
  const { vocabularySize, hiddenSize } = model.plan;
  const total = job.to - job.from;
  const result: TokenDivergence = {
    kl: new Float64Array(total),
    surprise: new Float64Array(total).fill(NaN),
    otherSurprise: new Float64Array(total).fill(NaN),
    agrees: new Uint8Array(total),
  };
  const ids = new Int32Array(job.ids);
  const stores = [openRowStore(job.referenceHidden), openRowStore(job.hidden)] as const;
  // A head bias is bound whole, so its vocabulary is not cut into spans.
  const span =
    model.plan.head.bias === null ? Math.min(vocabularySize, Math.floor(LOGIT_VALUES / ROWS)) : vocabularySize;
  const heads = new Map<number, readonly [Float32Array, Float32Array]>();
  const headRows = (first: number, count: number): readonly [Float32Array, Float32Array] => {
    let rows = heads.get(first);
    if (rows !== undefined) return rows;
    const read = (from: typeof checkpoint, { head }: typeof reference): Float32Array =>
      readWeight(from, { tensor: head.weight.tensor, rows: { from: first, to: first + count, step: 1 } }).data;
    const own = read(model.checkpoint, model.plan);
    rows = [shared ? own : read(checkpoint, reference), own];
    // A small vocabulary stays; a large one is read again for every chunk of rows.
    if (span === vocabularySize) heads.set(first, rows);
    return rows;
  };
  for (let from = job.from; from < job.to; from += ROWS) {
    const count = Math.min(ROWS, job.to - from);
    const values = (name: string, width: number): Feed => ({
      data: model.scratch.floats(`divergence.${name}`, count * width),
      shape: [count, width],
    });
    const x = stores.map((store, side) => {
      const feed = values(`x${side}`, hiddenSize);
      store.read(from, count, feed.data);
      return feed;
    });
    const partitions = createPartitions(count);
    const targets = [new Float64Array(count), new Float64Array(count)] as const;
    for (let first = 0; first < vocabularySize; first += span) {
      const width = Math.min(span, vocabularySize - first);
      const [p, q] = headRows(first, width);
      const widths = { first: 1, log: width, normed: hiddenSize, share: width };
      const outputs = Object.fromEntries(
        graph.graph.outputs.map((name) => [name, values(name, widths[name.slice(2) as keyof typeof widths])]),
      );
      const out = await model.sessions.run(
        graph,
        {
          ...weights,
          'p.x': x[0]!,
          'q.x': x[1]!,
          'p.head': { data: p, shape: [width, hiddenSize] },
          'q.head': { data: q, shape: [width, hiddenSize] },
        },
        outputs,
      );
      const pair = (name: string): readonly [Float32Array, Float32Array] => [out[`p.${name}`]!, out[`q.${name}`]!];
      addSpan(partitions, { first: pair('first'), log: pair('log'), share: out['p.share']! }, first);
      for (const [side, head, normed] of [
        [0, p, out['p.normed']!],
        [1, q, out['q.normed']!],
      ] as const) {
        const { divisor, softcap } = (side === 0 ? reference : model.plan).head;
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
  if (!shared) checkpoint.close();
  return { result };
}

function dot(a: Float32Array, aFrom: number, b: Float32Array, bFrom: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aFrom + i]! * b[bFrom + i]!;
  return sum;
}
