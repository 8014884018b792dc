import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { layerGraph } from '../../src/graph/layer.js';
import { headParts, type ScoreParts } from '../../src/graph/scaled-dot-product.js';
import { planModel } from '../../src/model/registry.js';
import { positionFeeds } from '../../src/runtime/positions.js';
import { createSessionCache } from '../../src/runtime/sessions.js';
import { createWeightReader, loadBindings } from '../../src/runtime/weights.js';
import { folder } from './folders.js';

describe('how many parts', () => {
  const grouped = { kind: 'attention', heads: 48, keyValueHeads: 8 } as const;
  const latent = { kind: 'latent-attention', heads: 128 } as const;

  it.each([
    ['a short sequence is one part', grouped, 1, 256, 1],
    ['whole groups while they fit', grouped, 1, 2048, 8],
    ['then parts of a group', grouped, 1, 4096, 24],
    ['the batch counts', grouped, 4, 1024, 8],
    ['latent attention has a key for every head', latent, 1, 8192, 128],
    ['a single head is the least', grouped, 1, 65_536, 48],
  ] as const)('%s', (_name, mixer, sequences, length, wanted) => {
    const budget = 32 * 2 ** 20;
    const parts = headParts(mixer, sequences, length, budget);
    expect(parts).toBe(wanted);
    const scores = (sequences * mixer.heads * length * length) / parts;
    expect(scores <= budget || parts === mixer.heads).toBe(true);
  });
});

describe('attention in parts', () => {
  // Plain heads; groups; groups with sinks, a sliding window and biases; groups with a gate; latent.
  it.each([
    ['llama', 0],
    ['qwen3', 0],
    ['gpt_oss', 0],
    ['qwen3_next', 3],
    ['deepseek_v3', 0],
  ])('of %s gives what it gives in one', async (name, index) => {
    const checkpoint = openCheckpoint(folder(name));
    const { layers, hiddenSize } = planModel(checkpoint);
    const layer = layers[index]!;
    const sessions = createSessionCache();
    const [batch, length] = [2, 9];
    const hidden = Float32Array.from({ length: batch * length * hiddenSize }, (_, i) => Math.sin(i * i));
    const run = async (parts: ScoreParts): Promise<Float32Array> => {
      const graph = layerGraph(layer, hiddenSize, new Set(), { parts });
      const results = await sessions.run(graph, {
        ...loadBindings(createWeightReader(checkpoint), graph.bindings),
        ...positionFeeds(layer, length),
        hidden: { data: hidden, shape: [batch, length, hiddenSize] },
      });
      return results['hidden_out']!;
    };
    const wanted = await run({ heads: 1, queries: 1 });
    const { mixer } = layer;
    if (mixer.kind !== 'attention' && mixer.kind !== 'latent-attention') throw new Error('wanted attention');
    const all = [1e9, 500, 300, 100, 1].map((budget) => headParts(mixer, batch, length, budget));
    expect(all.at(-1)).toBe(mixer.heads);
    for (const parts of [...new Set(all)].flatMap((heads) => [1, 2, 3].map((queries) => ({ heads, queries })))) {
      const got = await run(parts);
      wanted.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 5));
    }
    checkpoint.close();
  });
});
