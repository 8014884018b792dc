/**
 * What counting costs beside the layer pass: processor time per layer of 49,152 tokens, 128 experts, top 8, with and
 * without every sequence's own counts. Run: node --import tsx bench/count.ts
 */
import { createCoverageCounter } from '../src/coverage/count.js';
import { syntheticRouting, syntheticSequences } from '../test/coverage/synthetic.js';

const LAYERS = 8;
const languages = Array.from({ length: 40 }, (_, i) => `x-language${i}`);
const sequences = syntheticSequences({ seed: 1, sequences: 192, length: 512, languages, sources: ['a', 'b', 'c'] });
const tokens = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
const batches = Array.from({ length: LAYERS }, (_, layer) => syntheticRouting(sequences, layer, 128, 8));
for (const perSequence of [false, true]) {
  const counter = createCoverageCounter({ sequences, floor: 64, perSequence });
  const start = process.cpuUsage();
  for (const batch of batches) counter.add(batch);
  const { user, system } = process.cpuUsage(start);
  const milliseconds = (user + system) / 1000 / LAYERS;
  console.log(
    `${tokens} tokens a layer${perSequence ? ', sequences apart' : ''}: ${milliseconds.toFixed(1)} ms a layer, ` +
      `${((tokens * 8) / milliseconds / 1000).toFixed(0)} million choices a second`,
  );
}
