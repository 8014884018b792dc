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
  /** What each row's output, weighted by its routing weight, is added to. */
  readonly sum?: {
    /** Copies the sums of rows [from, from + count) into target [count × hidden]. */
    read(from: number, count: number, target: Float32Array): void;
    write(from: number, count: number, sums: Float32Array): void;
  };
  /** Inputs of down, [count × intermediate]. */
  inner?(rows: Float32Array, from: number): void;
}

/** Statistics of the inputs of gate and up, and of down. */
export interface ExpertSums {
  readonly input: TapSums | null;
  readonly inner: TapSums | null;
}

/** One routed expert with its weights loaded. */
export interface LoadedExpert {
  run(rows: ExpertRows, statistics: Pick<ExpertOutputs, 'input' | 'inner'>, sink: ExpertSink): Promise<ExpertSums>;
}

/**
 * Rows of one call: enough for products to run at full rate while inputs and outputs stay in a core's cache. 4,096 rows
 * of 256 ran a third slower.
 */
const PART_ROWS = 1024;

/** Experts of a block have one shape, so one graph per set of statistics serves them all. */
const graphsOf = new WeakMap<MoePlan, Map<string, BlockContext>>();

/** Loads an expert over the one that was loaded before. */
export function loadExpert(
  moe: MoePlan,
  expert: number,
  reader: WeightReader,
  { sessions, scratch }: { readonly sessions: SessionCache; readonly scratch: Scratch },
): LoadedExpert {
  const plan = moe.experts[expert]!;
  const [hiddenSize, intermediate] = [plan.gate.inFeatures, plan.down.inFeatures];
  const weights = loadBindings(reader, expertBindings(plan), (name, length) =>
    scratch.floats(`expert.${name}`, length),
  );
  return {
    async run(rows, statistics, sink) {
      const graph = graphFor(moe, { ...statistics, rows: sink.inner !== undefined, output: sink.sum !== undefined });
      const sums = createRunningSums(
        graph,
        new Map([
          ['input' as const, hiddenSize],
          ['inner' as const, intermediate],
        ]),
      );
      const { routing } = rows;
      for (let from = 0; from < routing.length; from += PART_ROWS) {
        const count = Math.min(PART_ROWS, routing.length - from);
        const part = (name: string, width: number): Feed => ({
          data: scratch.floats(`expert.${name}`, count * width),
          shape: [count, width],
        });
        const x = part('x', hiddenSize);
        rows.read(from, count, x.data);
        const [sum, y] = sink.sum === undefined ? [] : [part('sum', hiddenSize), part('y', hiddenSize)];
        if (sum !== undefined) sink.sum!.read(from, count, sum.data);
        const inner = sink.inner === undefined ? undefined : part('inner', intermediate);
        await sessions.run(
          graph,
          {
            ...weights,
            ...sums.feeds,
            x,
            routing: { data: routing.subarray(from, from + count), shape: [count, 1] },
            ...(sum === undefined ? {} : { sum }),
          },
          { ...sums.outputs, ...(y === undefined ? {} : { y }), ...(inner === undefined ? {} : { rows: inner }) },
        );
        sums.add();
        if (y !== undefined) sink.sum!.write(from, count, y.data);
        if (inner !== undefined) sink.inner!(inner.data, from);
      }
      return { input: sums.sums.get('input') ?? null, inner: sums.sums.get('inner') ?? null };
    },
  };
}

function graphFor(moe: MoePlan, outputs: ExpertOutputs): BlockContext {
  const graphs = graphsOf.get(moe) ?? new Map<string, BlockContext>();
  graphsOf.set(moe, graphs);
  const key = [outputs.input, outputs.inner, outputs.rows, outputs.output].join(' ');
  let graph = graphs.get(key);
  if (graph === undefined) graphs.set(key, (graph = expertGraph(moe, moe.experts[0]!, outputs)));
  return graph;
}
