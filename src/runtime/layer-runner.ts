import { expertGraph, type ExpertStatistics } from '../graph/feed-forward.js';
import { layerGraph } from '../graph/layer.js';
import { headParts } from '../graph/scaled-dot-product.js';
import type { BlockContext } from '../graph/context.js';
import type { LayerPlan, ModelPlan, MoePlan, Tap } from '../model/plan.js';
import { route, type Routing } from '../model/router-rule.js';
import type { Batch } from './batches.js';
import { positionFeeds } from './positions.js';
import type { RowStore } from './row-store.js';
import type { Feed, SessionCache } from './sessions.js';
import { loadBindings, type WeightReader } from './weights.js';

/** Sums over the tokens a Linear's input was seen with. */
export interface TapSums {
  /** Σ xxᵀ, [features × features]. */
  readonly gram: Float32Array;
  /** Σ |x|, [features]. */
  readonly absolute: Float32Array;
}

/** One decoder layer with its weights loaded, without its routed experts. */
export interface LoadedLayer {
  /** Runs a batch; `hidden` is replaced by the layer's output, which lacks the routed experts' share. */
  run(batch: Batch, hidden: RowStore, experts: ExpertsInput | null): Promise<void>;
  /** The statistics gathered so far. */
  readonly sums: ReadonlyMap<Tap, TapSums>;
  /** Inputs of the sampled tokens, in the order the batches met them. */
  readonly samples: ReadonlyMap<Tap, readonly Float32Array[]>;
  /** The sampled tokens in that order. */
  readonly sampledTokens: readonly number[];
}

/** Where a layer with experts leaves what they need. */
export interface ExpertsInput {
  readonly rows: RowStore;
  readonly chosen: Int32Array;
  readonly weights: Float32Array;
}

export interface ExpertRun {
  /** [rows × hidden], weighted by the routing weight. */
  readonly output: Float32Array;
  readonly input: TapSums | null;
  readonly inner: TapSums | null;
  /** Inputs of down, [rows × intermediate], where asked for. */
  readonly rows: Float32Array | null;
}

export function loadLayer(
  plan: ModelPlan,
  layer: LayerPlan,
  reader: WeightReader,
  sessions: SessionCache,
  taps: ReadonlySet<Tap> = new Set(),
  sample: Int32Array = new Int32Array(0),
): LoadedLayer {
  const { hiddenSize } = plan;
  const graphs = new Map<number, BlockContext>();
  const graphFor = (parts: number): BlockContext => {
    let graph = graphs.get(parts);
    if (graph === undefined) graphs.set(parts, (graph = layerGraph(layer, hiddenSize, taps, parts)));
    return graph;
  };
  const weights = loadBindings(reader, graphFor(1));
  const moe = layer.feedForward.kind === 'moe' ? layer.feedForward : null;
  const correction = moe === null ? null : loadCorrection(moe, reader);
  const sums = new Map<Tap, TapSums>();
  const samples = new Map<Tap, Float32Array[]>();
  const sampledTokens: number[] = [];
  const positions = new Map<number, Record<string, Feed>>();
  return {
    sums,
    samples,
    sampledTokens,
    async run(batch, hidden, experts) {
      const { sequences, length } = batch;
      const graph = graphFor(headParts(layer.mixer, sequences.length, length));
      const rows = sequences.length * length;
      const values = new Float32Array(rows * hiddenSize);
      sequences.forEach(({ row, length: own }, i) => hidden.read(row, own, values, i * length * hiddenSize));
      let position = positions.get(length);
      if (position === undefined) positions.set(length, (position = positionFeeds(layer, length)));
      const feeds: Record<string, Feed> = {
        ...weights,
        ...position,
        ...statisticsFeeds(graph, sums),
        hidden: { data: values, shape: [sequences.length, length, hiddenSize] },
        ...(graph.graph.inputs.includes('valid') ? { valid: validRows(batch) } : {}),
      };
      const picked = sampledRows(batch, sample);
      if (graph.graph.inputs.includes('sample_rows')) {
        feeds['sample_rows'] = { data: Float32Array.from(picked.rows), shape: [picked.rows.length] };
      }
      const results = await sessions.run(graph, feeds);
      collectSums(results, sums);
      sampledTokens.push(...picked.tokens);
      for (const tap of taps) {
        const own = samples.get(tap) ?? [];
        own.push(results[`sample.${tap}`]!);
        samples.set(tap, own);
      }
      const out = results['hidden_out']!;
      const logits = results['router.logits'];
      const input = results['experts.input'];
      sequences.forEach(({ row, length: own }, i) => {
        hidden.write(row, out, i * length * hiddenSize, own);
        if (moe === null || experts === null || logits === undefined || input === undefined) return;
        experts.rows.write(row, input, i * length * hiddenSize, own);
        const count = moe.experts.length;
        const first = i * length * count;
        const routing = route(moe.rule, logits.subarray(first, first + own * count), count, moe.topK, correction);
        experts.chosen.set(routing.chosen, row * moe.topK);
        experts.weights.set(routing.weights, row * moe.topK);
      });
    },
  };
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

function validRows({ sequences, length }: Batch): Feed {
  const data = new Float32Array(sequences.length * length);
  sequences.forEach(({ length: own }, i) => data.fill(1, i * length, i * length + own));
  return { data, shape: [data.length, 1] };
}

/** The running sums go in as graph inputs and come back with the batch added: no pass over them in JavaScript. */
function statisticsFeeds(graph: BlockContext, sums: ReadonlyMap<Tap, TapSums>): Record<string, Feed> {
  const feeds: Record<string, Feed> = {};
  for (const name of graph.graph.inputs) {
    const match = /^gram\.(.+)\.sum$/.exec(name);
    if (match === null) continue;
    const gram = sums.get(match[1] as Tap)?.gram;
    // Gemm broadcasts its addend, so the first batch adds a single zero.
    feeds[name] =
      gram === undefined
        ? { data: new Float32Array(1), shape: [1, 1] }
        : { data: gram, shape: [Math.sqrt(gram.length), Math.sqrt(gram.length)] };
  }
  return feeds;
}

function collectSums(results: Readonly<Record<string, Float32Array>>, sums: Map<Tap, TapSums>): void {
  for (const [name, gram] of Object.entries(results)) {
    if (!name.startsWith('gram.')) continue;
    const tap = name.slice('gram.'.length) as Tap;
    const absolute = results[`abs.${tap}`]!;
    const before = sums.get(tap)?.absolute;
    if (before !== undefined) for (let i = 0; i < absolute.length; i++) absolute[i]! += before[i]!;
    sums.set(tap, { gram, absolute });
  }
}

/** One routed expert with its weights loaded. */
export interface LoadedExpert {
  readonly weights: Readonly<Record<string, Feed>>;
  /** Rows beyond CHUNK are run in parts, and their statistics added. */
  run(x: Float32Array, routing: Float32Array, statistics?: ExpertStatistics): Promise<ExpertRun>;
}

/** Rows of one call of an expert: bounds the memory of its inner activations. */
const EXPERT_ROWS = 4096;

export function loadExpert(
  plan: ModelPlan,
  moe: MoePlan,
  expert: number,
  reader: WeightReader,
  sessions: SessionCache,
): LoadedExpert {
  const { hiddenSize } = plan;
  const graphs = new Map<string, BlockContext>();
  const graphFor = (statistics: ExpertStatistics): BlockContext => {
    const key = `${statistics.input} ${statistics.inner} ${statistics.rows === true} ${statistics.output !== false}`;
    let graph = graphs.get(key);
    if (graph === undefined) graphs.set(key, (graph = expertGraph(moe, moe.experts[expert]!, statistics)));
    return graph;
  };
  const weights = loadBindings(reader, graphFor({ input: false, inner: false }));
  return {
    weights,
    async run(x, routing, statistics = { input: false, inner: false }) {
      const graph = graphFor(statistics);
      const rows = routing.length;
      const output = new Float32Array(statistics.output === false ? 0 : rows * hiddenSize);
      const sums = new Map<Tap, TapSums>();
      const width = moe.experts[expert]!.down.inFeatures;
      const inner = statistics.rows === true ? new Float32Array(rows * width) : null;
      for (let from = 0; from < rows; from += EXPERT_ROWS) {
        const count = Math.min(EXPERT_ROWS, rows - from);
        const results = await sessions.run(graph, {
          ...weights,
          ...statisticsFeeds(graph, sums),
          x: { data: x.subarray(from * hiddenSize, (from + count) * hiddenSize), shape: [count, hiddenSize] },
          routing: { data: routing.subarray(from, from + count), shape: [count, 1] },
        });
        collectSums(results, sums);
        if (statistics.output !== false) output.set(results['y']!, from * hiddenSize);
        inner?.set(results['rows']!, from * width);
      }
      return { output, input: sums.get('input' as Tap) ?? null, inner: sums.get('inner' as Tap) ?? null, rows: inner };
    },
  };
}

export type { Routing };
