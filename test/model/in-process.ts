import { join } from 'node:path';
import { openSafetensors } from '../../src/checkpoint/open.js';
import { combine, embed, logits, runExperts, runLayer, type LaneModel } from '../../src/engine/forward-lane.js';
import type { ForwardJobs } from '../../src/engine/jobs.js';
import { forwardPass } from '../../src/engine/layer-pass.js';
import { createPassState, layOut } from '../../src/engine/pass-state.js';
import type { Handled } from '../../src/runtime/workers.js';

/** Logits [tokens, vocabulary] of a folder's reference input: the layer pass in this thread, with weights of any reader. */
export async function referenceLogits(directory: string, model: LaneModel): Promise<Float32Array> {
  const reference = openSafetensors(join(directory, 'reference.safetensors'));
  const [batch, length] = reference.shape('input_ids') as [number, number];
  const ids = Int32Array.from(reference.read('input_ids'));
  reference.close();
  const sequences = Array.from({ length: batch }, (_, i) => ({ inputIds: ids.slice(i * length, (i + 1) * length) }));
  const handlers: Readonly<Record<string, (job: never) => Handled | Promise<Handled>>> = {
    embed: (job: ForwardJobs['embed']['job']) => embed(model, job),
    layer: (job: ForwardJobs['layer']['job']) => runLayer(model, job),
    experts: (job: ForwardJobs['experts']['job']) => runExperts(model, job),
    combine: (job: ForwardJobs['combine']['job']) => combine(job),
  };
  const lanes = {
    count: 1,
    async call<Kind extends keyof ForwardJobs>(_lane: number, kind: Kind, job: ForwardJobs[Kind]['job']) {
      return (await handlers[kind]!(job as never)).result as ForwardJobs[Kind]['result'];
    },
  };
  const state = createPassState(model.plan, layOut(sequences), lanes.count);
  for await (const event of forwardPass(lanes, model.plan, state)) void event;
  const { result } = await logits(model, { hidden: state.hidden, from: 0, to: state.layout.tokens });
  return (result as ForwardJobs['logits']['result']).logits;
}
