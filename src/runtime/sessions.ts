import { createHash } from 'node:crypto';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { BlockContext } from '../graph/context.js';

/**
 * Runs graphs on onnxruntime. Sessions are cached by the graph's bytes: weights are inputs, so all layers and experts
 * of one shape share a session. `run` blocks its thread (microsoft/onnxruntime#19611), so this lives in workers.
 */
export interface SessionCache {
  run(graph: BlockContext, feeds: Readonly<Record<string, Feed>>): Promise<Record<string, Float32Array>>;
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
}

export function createSessionCache({ threads = 1, providers = ['cpu'] }: SessionOptions = {}): SessionCache {
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
          enableCpuMemArena: false,
          logSeverityLevel: 3,
        });
      byBytes.set(key, session);
      byGraph.set(graph, session);
    }
    return session;
  };
  return {
    async run(graph, feeds) {
      const session = await sessionOf(graph);
      const tensors: Record<string, Tensor> = {};
      for (const name of graph.graph.inputs) {
        const feed = feeds[name];
        if (feed === undefined) throw new Error(`Cannot run the graph: input '${name}' is not fed`);
        tensors[name] = new Tensor('float32', feed.data, feed.shape);
      }
      const results = await session.run(tensors);
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, tensor.data as Float32Array]));
    },
  };
}
