import { layerGraph, type LayerHalf } from '../graph/layer.js';
import { scoreParts, type ScoreParts } from '../graph/scaled-dot-product.js';
import type { BlockContext } from '../graph/context.js';
import { linearsByTap } from '../model/linears.js';
import type { LayerPlan, ModelPlan, MoePlan, Tap } from '../model/plan.js';
import { route } from '../model/router-rule.js';
import type { Batch } from './batches.js';
import { positionFeeds } from './positions.js';
import type { RowStore } from './row-store.js';
import type { Scratch } from './scratch.js';
import type { Feed, SessionCache } from './sessions.js';
import { createRunningSums, type TapSums } from './tap-sums.js';
import { loadBindings, type WeightReader } from './weights.js';
import { release } from './workers.js';

/** One decoder layer with its weights loaded, without its routed experts. */
export interface LoadedLayer {
  /**
   * Runs a batch; `hidden` is replaced by the layer's output, which lacks the routed experts' share. The first half of a
   * layer leaves it as it is and writes `mixerRows`, which the second half reads.
   */
  run(batch: Batch, hidden: RowStore, stores?: LayerStores): Promise<void>;
  /** Gives the weights' memory back. */
  close(): void;
  /** The statistics gathered so far. */
  readonly sums: ReadonlyMap<Tap, TapSums>;
  /** Inputs of the sampled tokens, in the order the batches met them. */
  readonly samples: ReadonlyMap<Tap, readonly Float32Array[]>;
  /** The sampled tokens in that order. */
  readonly sampledTokens: readonly number[];
}

export interface LayerStores {
  readonly experts: ExpertsInput | null;
  readonly mixerRows: RowStore | null;
}

export interface LayerOptions {
  readonly taps?: ReadonlySet<Tap>;
  /** Tokens whose inputs are returned beside the sums. */
  readonly sample?: Int32Array;
  readonly half?: LayerHalf;
  /** Only tokens whose number this divides enter the sums, each in place of so many. */
  readonly stride?: number;
}

/** Where a layer with experts leaves what they need. */
export interface ExpertsInput {
  readonly rows: RowStore;
  readonly chosen: Int32Array;
  readonly weights: Float32Array;
}

export function loadLayer(
  plan: ModelPlan,
  layer: LayerPlan,
  reader: WeightReader,
  { sessions, scratch }: { readonly sessions: SessionCache; readonly scratch: Scratch },
  { taps = new Set(), sample = new Int32Array(0), half = 'whole', stride = 1 }: LayerOptions = {},
): LoadedLayer {
  const { hiddenSize } = plan;
  const graphs = new Map<string, BlockContext>();
  const graphFor = (parts?: ScoreParts): BlockContext => {
    const key = parts === undefined ? '' : `${parts.heads} ${parts.queries}`;
    let graph = graphs.get(key);
    if (graph === undefined)
      graphs.set(
        key,
        (graph = layerGraph(layer, hiddenSize, taps, { half, stride, ...(parts === undefined ? {} : { parts }) })),
      );
    return graph;
  };
  const weights = loadBindings(reader, graphFor().bindings);
  const moe = layer.feedForward.kind === 'moe' ? layer.feedForward : null;
  const correction = moe === null ? null : loadCorrection(moe, reader);
  const byTap = linearsByTap(layer);
  const sums = createRunningSums(
    graphFor(),
    new Map([...taps].map((tap) => [tap, byTap.get(tap)?.[0]?.inFeatures ?? hiddenSize])),
  );
  const samples = new Map<Tap, Float32Array[]>();
  const sampledTokens: number[] = [];
  const positions = new Map<number, Record<string, Feed>>();
  return {
    sums: sums.sums,
    samples,
    sampledTokens,
    close: () => release(Object.values(weights).map(({ data }) => data)),
    async run(batch, hidden, { experts, mixerRows } = { experts: null, mixerRows: null }) {
      const { sequences, length } = batch;
      const graph = graphFor(half === 'rest' ? undefined : scoreParts(layer.mixer, sequences.length, length));
      const rows = sequences.length * length;
      const part = (name: string, width: number): Feed => ({
        data: scratch.floats(`layer.${name}`, rows * width),
        shape: [rows, width],
      });
      const values = part('in', hiddenSize).data;
      gatherBatch(batch, hidden, values);
      let position = positions.get(length);
      if (position === undefined) positions.set(length, (position = positionFeeds(layer, length)));
      const feeds: Record<string, Feed> = {
        ...weights,
        ...position,
        ...sums.feeds,
        hidden: { data: values, shape: [sequences.length, length, hiddenSize] },
        ...(graph.graph.inputs.includes('valid') ? { valid: validRows(batch) } : {}),
      };
      const picked = sampledRows(batch, sample);
      if (graph.graph.inputs.includes('sample_rows')) {
        feeds['sample_rows'] = rowIndices(picked.rows);
      }
      if (graph.graph.inputs.includes('stride_rows')) feeds['stride_rows'] = rowIndices(stridedRows(batch, stride));
      const between = mixerRows === null ? null : part('mixer-rows', mixerRows.width);
      if (between !== null && mixerRows !== null && half === 'rest') {
        gatherBatch(batch, mixerRows, between.data);
        feeds['mixer.rows'] = between;
      }
      const out = part('out', hiddenSize);
      const routed =
        moe === null ? null : { logits: part('router', moe.experts.length), input: part('experts-input', hiddenSize) };
      const picks = new Map(
        [...sums.sums].map(([tap, { absolute }]) => [tap, pickedRows(picked.rows.length, absolute.length)]),
      );
      await sessions.run(graph, feeds, {
        ...sums.outputs,
        ...Object.fromEntries([...picks].map(([tap, feed]) => [`sample.${tap}`, feed])),
        ...(between === null ? {} : { 'mixer.rows': between }),
        hidden_out: out,
        ...(routed === null ? {} : { 'router.logits': routed.logits, 'experts.input': routed.input }),
      });
      sums.add();
      sampledTokens.push(...picked.tokens);
      for (const [tap, { data }] of picks) samples.set(tap, [...(samples.get(tap) ?? []), data]);
      if (half === 'mixer') {
        if (between === null || mixerRows === null) throw new Error('half a layer has nowhere to write to');
        const { width } = mixerRows;
        sequences.forEach(({ row, length: own }, i) => mixerRows.write(row, between.data, i * length * width, own));
        return;
      }
      sequences.forEach(({ row, length: own }, i) => {
        hidden.write(row, out.data, i * length * hiddenSize, own);
        if (moe === null || experts === null || routed === null) return;
        experts.rows.write(row, routed.input.data, i * length * hiddenSize, own);
        const count = moe.experts.length;
        const first = i * length * count;
        const logits = routed.logits.data.subarray(first, first + own * count);
        const [from, to] = [row * moe.topK, (row + own) * moe.topK];
        route(moe.rule, logits, count, moe.topK, correction, {
          chosen: experts.chosen.subarray(from, to),
          weights: experts.weights.subarray(from, to),
        });
      });
    },
  };
}

/** Rows of a batch's sequences, zeros where they are padded: padding reaches no token, but 0 times a NaN would be one. */
function gatherBatch({ sequences, length }: Batch, store: RowStore, target: Float32Array): void {
  const { width } = store;
  sequences.forEach(({ row, length: own }, i) => {
    store.read(row, own, target, i * length * width);
    target.fill(0, (i * length + own) * width, (i + 1) * length * width);
  });
}

function loadCorrection(moe: MoePlan, reader: WeightReader): Float32Array | null {
  const { rule } = moe;
  const name = rule.kind === 'sigmoid' || rule.kind === 'softmax-corrected' ? rule.correctionBias : null;
  return name === null ? null : reader.raw(name);
}

/** The sampled tokens of a batch, and the batch's rows that they are. */
function sampledRows(
  { sequences, length }: Batch,
  sample: Int32Array,
): { readonly tokens: number[]; readonly rows: number[] } {
  const tokens: number[] = [];
  const rows: number[] = [];
  sequences.forEach(({ row, length: own }, i) => {
    for (let at = lowerBound(sample, row); at < sample.length && sample[at]! < row + own; at++) {
      tokens.push(sample[at]!);
      rows.push(i * length + sample[at]! - row);
    }
  });
  return { tokens, rows };
}

/** A batch's rows that are tokens whose number the stride divides: the same ones however tokens are batched. */
function stridedRows({ sequences, length }: Batch, stride: number): number[] {
  return sequences.flatMap(({ row, length: own }, i) => {
    const first = (stride - (row % stride)) % stride;
    return Array.from(
      { length: Math.ceil(Math.max(0, own - first) / stride) },
      (_, n) => i * length + first + n * stride,
    );
  });
}

function rowIndices(rows: readonly number[]): Feed {
  return { data: Float32Array.from(rows), shape: [rows.length] };
}

/** First index whose value is at least `value`, in rising values. */
function lowerBound(values: Int32Array, value: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function pickedRows(rows: number, width: number): Feed {
  return { data: new Float32Array(rows * width), shape: [rows, width] };
}

function validRows({ sequences, length }: Batch): Feed {
  const data = new Float32Array(sequences.length * length);
  sequences.forEach(({ length: own }, i) => data.fill(1, i * length, i * length + own));
  return { data, shape: [data.length, 1] };
}
