import { InputError } from '../../errors.js';
import { linearModule } from '../linear-weights.js';
import { openCheckpoint, quantizationConfig, type Checkpoint } from '../open.js';
import { verifyOtherSettings, verifySettings } from './config.js';
import { verifyFolder, verifySideFiles } from './files.js';
import type { Check, Finding } from './finding.js';
import { verifyPacking } from './packing.js';
import { verifyExperts, verifySource, type Correspondence } from './tensors.js';

export interface VerifyOptions extends Correspondence {
  /** Side files that the run writes itself instead of copying: a README with the quantized model's card. */
  readonly replacedFiles?: ReadonlySet<string>;
}

export type VerifyEvent =
  | { readonly type: 'step'; readonly step: string }
  | ({ readonly type: 'finding' } & Finding)
  | { readonly type: 'done'; readonly packedModules: number; readonly tensors: number };

/**
 * Re-reads a written checkpoint and checks every invariant that the formats and the runtimes rely on. Sound when no
 * `finding` comes.
 *
 * @param output the written checkpoint
 * @param model the folder it was made from
 */
export async function* verifyCheckpoint(
  output: string,
  model: string,
  options: VerifyOptions,
): AsyncGenerator<VerifyEvent> {
  const source = openCheckpoint(model);
  try {
    const checkpoint = openOrFind(output);
    if ('check' in checkpoint) {
      yield { type: 'finding', ...checkpoint };
      return;
    }
    try {
      yield* verifyOpened(checkpoint, source, options);
    } finally {
      checkpoint.close();
    }
  } finally {
    source.close();
  }
}

/** The findings alone. */
export async function collectFindings(events: AsyncIterable<VerifyEvent>): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const event of events) {
    if (event.type === 'finding') findings.push({ check: event.check, subject: event.subject, message: event.message });
  }
  return findings;
}

async function* verifyOpened(
  output: Checkpoint,
  model: Checkpoint,
  options: VerifyOptions,
): AsyncGenerator<VerifyEvent> {
  yield { type: 'step', step: 'files and index' };
  yield* found(verifyFolder(output.directory));
  yield* found(verifySideFiles(output.directory, model.directory, options.replacedFiles ?? new Set()));
  yield* found(verifyOtherSettings(output.configText, model.configText));

  yield { type: 'step', step: 'packed tensors' };
  const packed = yield* found(verifyPacking(output));
  const unquantized = unquantizedLinears(output, options);
  const settings = quantizationConfig(output.config, output.directory);
  if (settings === null || output.config['quantization_config'] === undefined) {
    yield finding('config', 'quantization_config', 'is missing at the top level of config.json');
  } else yield* found(verifySettings(settings, { packed, unquantized }));
  yield* found(verifyExperts(packed, unquantized));

  yield { type: 'step', step: 'tensors of the source' };
  yield* found(verifySource(output, model, packed, options));
  yield { type: 'done', packedModules: packed.size, tensors: output.infos.size };
}

/** Linears that keep their weights, experts that stayed fused among them. */
function unquantizedLinears(output: Checkpoint, { linearized }: Correspondence): string[] {
  const plain = [...output.tensors.values()].filter(({ encoding }) => encoding === 'plain');
  const parts = plain.flatMap(({ name, shape }) => linearized.get(name) ?? [{ name, shape }]);
  return parts.map(({ name, shape }) => linearModule(name, shape)).filter((module) => module !== null);
}

/** Turns findings into events, and lets the event loop breathe between them. */
async function* found<R>(findings: Generator<Finding, R>): AsyncGenerator<VerifyEvent, R> {
  for (;;) {
    const next = findings.next();
    if (next.done === true) return next.value;
    yield { type: 'finding', ...next.value };
  }
}

function finding(check: Check, subject: string, message: string): VerifyEvent {
  return { type: 'finding', check, subject, message };
}

function openOrFind(output: string): Checkpoint | Finding {
  try {
    return openCheckpoint(output);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { check: 'folder', subject: output, message: error.message };
  }
}
