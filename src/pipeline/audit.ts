import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/open.js';
import { createCoverageCounter, type CoverageCounter } from '../coverage/count.js';
import type { Coverage } from '../coverage/coverage.js';
import type { Floors } from '../coverage/floors.js';
import { checkIds } from '../engine/evaluate.js';
import { forwardPass, type PassEvent } from '../engine/layer-pass.js';
import { createPassState, layOut } from '../engine/pass-state.js';
import { memoryEstimate } from '../engine/memory.js';
import { planSpill, storeNames } from '../engine/spill.js';
import { startModelLanes, type LaneOptions } from '../engine/lanes.js';
import { planModel } from '../model/registry.js';
import type { Sequence } from '../mix/sequence.js';

export interface AuditOptions extends LaneOptions {
  readonly model: string;
  readonly sequences: readonly Sequence[];
  readonly floor: number;
  readonly floors?: Floors;
  /** Keep every sequence's own counts, for balancing. */
  readonly perSequence?: boolean;
  /** Bytes of memory to stay within; what does not fit goes to a temporary folder. */
  readonly memory?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface AuditResult {
  readonly coverage: Coverage;
  readonly counter: CoverageCounter;
}

/** Runs sequences through the model and counts the router's own choices; a dense model needs no pass. */
export async function* auditSequences(options: AuditOptions): AsyncGenerator<PassEvent, AuditResult> {
  const { model, sequences, floor, floors, perSequence = false } = options;
  const checkpoint = openCheckpoint(model);
  const plan = planModel(checkpoint, options.assume);
  checkpoint.close();
  const counter = createCoverageCounter({ sequences, floor, ...(floors === undefined ? {} : { floors }), perSequence });
  const layout = layOut(sequences);
  checkIds(new Int32Array(layout.ids), plan);
  if (plan.layers.some(({ feedForward }) => feedForward.kind === 'moe')) {
    const lanes = await startModelLanes(model, options);
    const estimate = memoryEstimate(plan, null, { tokens: layout.tokens, lanes: lanes.count, streams: 1 });
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-audit-'));
    try {
      const spill = planSpill(folder, options.memory ?? null, estimate, storeNames(plan, lanes.count, 1));
      const state = createPassState(plan, layout, lanes.count, { spill: spill.path });
      for await (const event of forwardPass(lanes, plan, state, { signal: options.signal, routingOnly: true })) {
        if (event.kind === 'routing') counter.add(event.batch);
        yield event;
      }
    } finally {
      await lanes.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { coverage: counter.finish({ model: { path: model, architecture: plan.architecture } }), counter };
}
