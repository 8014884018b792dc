import type { BlockContext } from '../graph/context.js';
import { expertBindings, expertGraph, type ExpertOutputs } from '../graph/feed-forward.js';
import type { MoePlan } from '../model/plan.js';
import type { Scratch } from './scratch.js';
import type { Feed, SessionCache } from './sessions.js';
import { createRunningSums, type TapSums } from './tap-sums.js';
import { loadBindings, type WeightReader } from './weights.js';

/** The inputs of an expert, read part by part. */
export interface ExpertRows {
  /** Routing weight of each row. */
  readonly routing: Float32Array;
  /** Copies rows [from, from + count) into target [count × hidden]. */
  read(from: number, count: number, target: Float32Array): void;
}

/** Where an expert's results go, part by part; the arrays are used again for the next part. */
export interface ExpertSink {
  /** Where Grams are summed up, cleared first; fresh arrays when left out. */
  readonly grams?: { readonly input?: Float32Array; readonly inner?: Float32Array };
  /** What each row's output, weighted by its routing weight, is added to. */
  readonly sum?: {
    /** Copies the sums of rows [from, from + count) into target [count × hidden]. */
    read(from: number, count: number, target: Float32Array): void;
    write(from: number, count: number, sums: Float32Array): void;
  };
  /** Takes down's inputs, [count × intermediate]. */
  inner?(rows: Float32Array, from: number): void;
}

/** Statistics of the inputs of gate and up, and of down; null where not asked for. */
export interface ExpertSums {
  readonly input: TapSums | null;
  readonly inner: TapSums | null;
}

/** One routed expert; its weights are loaded when something needs them, over those of the expert before. */
export interface LoadedExpert {
  run(
    rows: ExpertRows,
    statistics: Pick<ExpertOutputs, 'input' | 'inner' | 'stride'>,
    sink: ExpertSink,
  ): Promise<ExpertSums>;
}

/**
 * Rows of one call, a multiple of every stride: enough for products to run at full rate while inputs and outputs stay in
 * a core's cache. 4,096 rows of 256 ran a third slower.
 */
const PART_ROWS = 1024;

/** Experts of a block have one shape, so one graph per set of outputs serves them all. */
const graphsOf = new WeakMap<MoePlan, Map<string, BlockContext>>();

export function loadExpert(
  moe: MoePlan,
  expert: number,
  reader: WeightReader,
  { sessions, scratch }: { readonly sessions: SessionCache; readonly scratch: Scratch },
): LoadedExpert {
  const plan = moe.experts[expert]!;
  const [hiddenSize, intermediate] = [plan.gate.inFeatures, plan.down.inFeatures];
  let loaded: Readonly<Record<string, Feed>> | null = null;
  const weights = (): Readonly<Record<string, Feed>> =>
    (loaded ??= loadBindings(reader, expertBindings(plan), (name, length) => scratch.floats(`expert.${name}`, length)));
  return {
    async run(rows, statistics, sink) {
      const { sum } = sink;
      const { routing } = rows;
      const graph = graphFor(moe, {
        ...statistics,
        rows: sink.inner !== undefined,
        output: sum !== undefined,
      });
      const constants = graph.bindings.size > 0 ? weights() : {};
      const sums = createRunningSums(
        graph,
        new Map([
          ['input' as const, hiddenSize],
          ['inner' as const, intermediate],
        ]),
        sink.grams,
      );
      for (let from = 0; from < routing.length; from += PART_ROWS) {
        const count = Math.min(PART_ROWS, routing.length - from);
        const part = (name: string, width: number): Feed => ({
          data: scratch.floats(`expert.${name}`, count * width),
          shape: [count, width],
        });
        const feeds: Record<string, Feed> = {
          ...constants,
          ...sums.feeds,
          x: part('x', hiddenSize),
          routing: { data: routing.subarray(from, from + count), shape: [count, 1] },
        };
        const outputs: Record<string, Feed> = { ...sums.outputs };
        rows.read(from, count, feeds['x']!.data);
        if (sum !== undefined) {
          sum.read(from, count, (feeds['sum'] = part('sum', hiddenSize)).data);
          outputs['y'] = part('y', hiddenSize);
        }
        if (sink.inner !== undefined) outputs['rows'] = part('inner', intermediate);
        await sessions.run(graph, feeds, outputs);
        sums.add();
        sum?.write(from, count, outputs['y']!.data);
        sink.inner?.(outputs['rows']!.data, from);
      }
      return { input: sums.sums.get('input') ?? null, inner: sums.sums.get('inner') ?? null };
    },
  };
}

function graphFor(moe: MoePlan, outputs: ExpertOutputs): BlockContext {
  const graphs = graphsOf.get(moe) ?? new Map<string, BlockContext>();
  graphsOf.set(moe, graphs);
  const { input, inner, rows, output, stride = 1 } = outputs;
  const key = [input, inner, rows, output, stride].join(' ');
  let graph = graphs.get(key);
  if (graph === undefined) graphs.set(key, (graph = expertGraph(moe, moe.experts[0]!, outputs)));
  return graph;
}
