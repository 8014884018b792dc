import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { PARTIAL_SUFFIX, writingSync } from '../checkpoint/durable.js';
import { InputError } from '../errors.js';
import { openRowStore } from '../runtime/row-store.js';
import type { Lanes } from '../runtime/workers.js';
import type { ForwardJobs } from './jobs.js';
import { spans } from './layer-pass.js';
import type { PassState } from './pass-state.js';
import type { LayerReport } from './layer-report.js';

/** What a run needs, besides the tensors it has written, to go on behind its last finished layer. */
export interface RunState {
  readonly finishedLayers: number;
  /** Brings back a finished layer's routing, and the hidden states behind the last one. */
  restore(layer: number): LayerReport;
  /** Makes a layer's outcome durable. */
  finish(layer: number, report: LayerReport): Promise<void>;
  /** Called when the checkpoint is complete. */
  remove(): void;
}

const FOLDER = '.evenkeel-run';
/** Rows of hidden states written at once. */
const CHUNK_ROWS = 4096;

export async function openRunState(
  output: string,
  layers: number,
  states: readonly PassState[],
  lanes: SavingLanes,
  resume: boolean,
): Promise<RunState> {
  const folder = join(output, FOLDER);
  const routed = states[0]!.routing;
  if (!resume) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const reportPath = (layer: number): string => join(folder, `layer-${layer}.json`);
  const hiddenPath = (layer: number, stream = 0): string => join(folder, `hidden-${layer}-${stream}.f32`);
  let finishedLayers = 0;
  while (finishedLayers < layers && existsSync(reportPath(finishedLayers))) finishedLayers++;
  // The hidden states are made durable before the report, so only the last report's can be missing its file.
  if (finishedLayers > 0 && finishedLayers < layers && !existsSync(hiddenPath(finishedLayers - 1))) {
    throw new InputError(
      `resume the run in '${output}': '${hiddenPath(finishedLayers - 1)}' is gone; start anew without --resume`,
    );
  }
  return {
    finishedLayers,
    restore(layer) {
      const { report, routing } = JSON.parse(readFileSync(reportPath(layer), 'utf8')) as {
        report: LayerReport;
        routing: boolean;
      };
      if (routing && routed !== null) {
        const bytes = readFileSync(join(folder, `routing-${layer}.bin`));
        const { chosen, weights } = routed;
        new Uint8Array(chosen).set(bytes.subarray(0, chosen.byteLength));
        new Uint8Array(weights).set(bytes.subarray(chosen.byteLength));
      }
      if (layer === finishedLayers - 1 && finishedLayers < layers)
        states.forEach((state, stream) => loadHidden(hiddenPath(layer, stream), state));
      return report;
    },
    async finish(layer, report) {
      // Nothing goes on behind the last layer.
      if (layer + 1 < layers)
        for (const [stream, state] of states.entries()) await saveHidden(hiddenPath(layer, stream), state, lanes);
      if (routed !== null) {
        writeDurably(join(folder, `routing-${layer}.bin`), [
          new Uint8Array(routed.chosen),
          new Uint8Array(routed.weights),
        ]);
      }
      writeDurably(reportPath(layer), [new TextEncoder().encode(JSON.stringify({ report, routing: routed !== null }))]);
      if (layer > 0) states.forEach((_, stream) => rmSync(hiddenPath(layer - 1, stream), { force: true }));
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

type SavingLanes = Pick<Lanes<ForwardJobs>, 'call' | 'count'>;

/** All lanes write at once: two streams of 50,000 tokens are 100 MB a layer, during which they would wait. */
async function saveHidden(path: string, { hidden }: PassState, lanes: SavingLanes): Promise<void> {
  const partial = `${path}${PARTIAL_SUFFIX}`;
  writingSync(path, () => closeSync(openSync(partial, 'w')));
  await Promise.all(
    spans(hidden.rows, lanes.count).map(([from, to], lane) =>
      lanes.call(lane, 'save', { store: hidden, path: partial, from, to }),
    ),
  );
  writingSync(path, () => {
    const file = openSync(partial, 'r+');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  });
}

function loadHidden(path: string, { hidden }: PassState): void {
  const saved = openRowStore({ kind: 'file', path, rows: hidden.rows, width: hidden.width, stride: hidden.width });
  const store = openRowStore(hidden);
  const rows = new Float32Array(CHUNK_ROWS * store.width);
  for (let from = 0; from < store.rows; from += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, store.rows - from);
    saved.read(from, count, rows);
    store.write(from, rows, 0, count);
  }
  saved.close();
  store.close();
}

/** Written under another name, synced, then renamed: a file of this name is always whole. */
function writeDurably(path: string, pieces: Iterable<Uint8Array>): void {
  const partial = `${path}${PARTIAL_SUFFIX}`;
  writingSync(path, () => {
    const file = openSync(partial, 'w');
    try {
      for (const piece of pieces) for (let done = 0; done < piece.length;) done += writeSync(file, piece, done);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  });
}
