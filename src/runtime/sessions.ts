import { createHash } from 'node:crypto';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { BlockContext } from '../graph/context.js';
import { runInPlace } from './in-place.js';
import { refuseTelemetry } from './telemetry.js';

/**
 * Runs graphs on onnxruntime. Sessions are cached by the graph's bytes: weights are inputs, so all layers and experts
 * of one shape share a session. `run` blocks its thread (microsoft/onnxruntime#19611), so this lives in workers.
 */
export interface SessionCache {
  /**
   * @param outputs where results go: all of them, or none, which then come in fresh arrays. An output may share its
   *   buffer with an input only where the operator allows it, as Gemm does for its addend.
   */
  run(
    graph: BlockContext,
    feeds: Readonly<Record<string, Feed>>,
    outputs?: Readonly<Record<string, Feed>>,
  ): Promise<Record<string, Float32Array>>;
}

export interface Feed {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

export interface SessionOptions {
  /** Threads within an operator. One by default: the parallelism is over workers. */
  readonly threads?: number;
  /** Execution providers by falling preference; `cpu` is the default, `webgpu` is bundled. */
  readonly providers?: readonly string[];
  /**
   * Each session keeps the memory of its intermediate values. Without, glibc maps and clears what is large anew at every
   * run: attention's scores of 2 MiB took 0.3 to 3 ms to mask, by luck, instead of 0.2.
   */
  readonly arena?: boolean;
}

export function createSessionCache({
  threads = 1,
  providers = ['cpu'],
  arena = false,
}: SessionOptions = {}): SessionCache {
  refuseTelemetry();
  const byGraph = new WeakMap<BlockContext, Promise<InferenceSession>>();
  const byBytes = new Map<string, Promise<InferenceSession>>();
  const sessionOf = (graph: BlockContext): Promise<InferenceSession> => {
    let session = byGraph.get(graph);
    if (session === undefined) {
      const bytes = graph.graph.toBytes();
      const key = createHash('sha256').update(bytes).digest('hex');
      session =
        byBytes.get(key) ??
        InferenceSession.create(bytes, {
          executionProviders: [...providers],
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
          executionMode: 'sequential',
          // Batches differ in length, so a remembered allocation pattern only holds memory.
          enableMemPattern: false,
          enableCpuMemArena: arena,
          logSeverityLevel: 3,
        });
      byBytes.set(key, session);
      byGraph.set(graph, session);
    }
    return session;
  };
  return {
    async run(graph, feeds, outputs) {
      const session = await sessionOf(graph);
      const tensors: Record<string, Tensor> = {};
      for (const name of graph.graph.inputs) {
        const feed = feeds[name];
        if (feed === undefined) throw new Error(`Cannot run the graph: input '${name}' is not fed`);
        tensors[name] = new Tensor('float32', feed.data, feed.shape);
      }
      const names = graph.graph.outputs;
      if (outputs !== undefined) {
        const given: Record<string, Tensor> = {};
        for (const name of names) {
          const output = outputs[name];
          if (output === undefined) throw new Error(`Cannot run the graph: output '${name}' has nowhere to go`);
          given[name] = new Tensor('float32', output.data, output.shape);
        }
        await runInPlace(session, tensors, given);
        return Object.fromEntries(names.map((name) => [name, outputs[name]!.data]));
      }
      const results = await session.run(tensors, names);
      return Object.fromEntries(names.map((name) => [name, results[name]!.data as Float32Array]));
    },
  };
}
