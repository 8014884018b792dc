import { existsSync, readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PARTIAL_SUFFIX, writeFileDurably, writing } from '../checkpoint/durable.js';
import { makeFolder } from '../make-folder.js';
import { InputError } from '../errors.js';
import { openRowStore, type RowStoreDescriptor } from '../runtime/row-store.js';
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
  /** Writes what goes on behind a layer. The streams may change again as soon as that is answered. */
  save(layer: number): Promise<SavedLayer>;
  /** Vouches for a layer whose tensors and hidden states are durable. */
  finish(layer: number, report: LayerReport): Promise<void>;
  /** Called when the checkpoint is complete. */
  remove(): Promise<void>;
}

export interface SavedLayer {
  /** Everything that was written survives a crash. */
  readonly durable: Promise<unknown>;
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
  if (!resume) await rm(folder, { recursive: true, force: true });
  await writing(folder, () => makeFolder(folder));
  const reportPath = (layer: number): string => join(folder, `layer-${layer}.json`);
  const routingPath = (layer: number): string => join(folder, `routing-${layer}.bin`);
  const hiddenPath = (layer: number, stream = 0): string => join(folder, `hidden-${layer}-${stream}.f32`);
  let finishedLayers = 0;
  while (finishedLayers < layers && existsSync(reportPath(finishedLayers))) finishedLayers++;
  // The hidden states are made durable before the report, so only the last report's can be missing its file.
  if (finishedLayers > 0 && finishedLayers < layers && !existsSync(hiddenPath(finishedLayers - 1))) {
    throw new InputError(
      `resume the run in '${output}': '${hiddenPath(finishedLayers - 1)}' is gone; start anew without --resume`,
    );
  }
  let removal: Promise<unknown> = Promise.resolve();
  return {
    finishedLayers,
    restore(layer) {
      const { report, routing } = JSON.parse(readFileSync(reportPath(layer), 'utf8')) as {
        report: LayerReport;
        routing: boolean;
      };
      if (routing && routed !== null) {
        const bytes = readFileSync(routingPath(layer));
        const { chosen, weights } = routed;
        new Uint8Array(chosen).set(bytes.subarray(0, chosen.byteLength));
        new Uint8Array(weights).set(bytes.subarray(chosen.byteLength));
      }
      if (layer === finishedLayers - 1 && finishedLayers < layers)
        states.forEach((state, stream) => loadHidden(hiddenPath(layer, stream), state));
      return report;
    },
    async save(layer) {
      // Nothing goes on behind the last layer.
      const streams = layer + 1 < layers ? states : [];
      const saved = await saveHidden(
        streams.map(({ hidden }, stream) => ({ path: hiddenPath(layer, stream), hidden })),
        lanes,
      );
      const routing =
        routed === null
          ? null
          : writeFileDurably(
              routingPath(layer),
              Buffer.concat([new Uint8Array(routed.chosen), new Uint8Array(routed.weights)]),
            );
      const durable = Promise.all([removal, routing, saved.durable]);
      durable.catch(() => undefined);
      return { durable };
    },
    async finish(layer, report) {
      await writeFileDurably(reportPath(layer), JSON.stringify({ report, routing: routed !== null }));
      if (layer === 0) return;
      removal = Promise.all(states.map((_, stream) => rm(hiddenPath(layer - 1, stream), { force: true })));
      removal.catch(() => undefined);
    },
    async remove() {
      await removal;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type SavingLanes = Pick<Lanes<ForwardJobs>, 'call' | 'count'>;

interface StreamFile {
  readonly path: string;
  readonly hidden: RowStoreDescriptor;
}

/**
 * All lanes write at once: two streams of 50,000 tokens are 100 MB a layer, during which they would wait. Each begins with
 * another file, because the system lets one thread at a time write to a file.
 */
async function saveHidden(streams: readonly StreamFile[], lanes: SavingLanes): Promise<SavedLayer> {
  const files = await Promise.all(
    streams.map(async ({ path, hidden }) => ({
      path,
      hidden,
      file: await writing(path, () => open(path + PARTIAL_SUFFIX, 'w')),
    })),
  );
  const save = (lane: number, turn: number): Promise<unknown> => {
    const { path, hidden } = files[(lane + turn) % files.length]!;
    const span = spans(hidden.rows, lanes.count)[lane];
    if (span === undefined) return Promise.resolve();
    const [from, to] = span;
    return lanes.call(lane, 'save', { store: hidden, path: path + PARTIAL_SUFFIX, from, to });
  };
  const written = Array.from({ length: lanes.count }, (_, lane) => files.map((_file, turn) => save(lane, turn))).flat();
  try {
    await Promise.all(written);
  } catch (error) {
    await Promise.all(files.map(({ file }) => file.close()));
    throw error;
  }
  const settle = async ({ path, file }: (typeof files)[number]): Promise<void> => {
    try {
      await writing(path, () => file.sync());
    } finally {
      await file.close();
    }
    await writing(path, () => rename(path + PARTIAL_SUFFIX, path));
  };
  return { durable: Promise.all(files.map(settle)) };
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
