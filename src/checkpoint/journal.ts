import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { writeFileDurably, writing } from './durable.js';
import { isJsonObject } from './json-file.js';
import type { ShardLayout } from './shard-layout.js';

/** Stands in the output folder for as long as the checkpoint is not finished. */
export const JOURNAL_FILE = '.evenkeel-journal.jsonl';

/** Everything that determined the tensors, by name: hashes of the model and mix, settings, version. */
export type RunKey = Readonly<Record<string, string>>;

/** Tensors that were durable at some moment, with the SHA-256 of their bytes. */
export type Journaled = ReadonlyMap<string, string>;

export interface Journal {
  /** Records tensors whose bytes are on disk already, and makes the record itself durable. */
  append(tensors: Iterable<readonly [name: string, sha256: string]>): Promise<void>;
  close(): Promise<void>;
}

/** Starts a journal, replacing any. */
export async function createJournal(directory: string, key: RunKey, shards: readonly ShardLayout[]): Promise<Journal> {
  const path = join(directory, JOURNAL_FILE);
  await writeFileDurably(path, `${JSON.stringify({ journal: 1, key, layout: layoutHash(shards) })}\n`);
  return openJournal(path);
}

/**
 * Reads the journal of an interrupted run and goes on with it.
 *
 * @throws InputError when something that determined the run changed, saying what
 */
export async function resumeJournal(
  directory: string,
  key: RunKey,
  shards: readonly ShardLayout[],
): Promise<{ journal: Journal; journaled: Journaled }> {
  const path = join(directory, JOURNAL_FILE);
  const [head, ...lines] = readFileSync(path, 'utf8').split('\n').map(parseLine);
  const action = `resume the run in '${directory}'`;
  if (head?.['journal'] !== 1 || !isJsonObject(head['key'])) {
    throw new InputError(`${action}: the journal '${JOURNAL_FILE}' is not one of this version`);
  }
  const old = head['key'];
  const changed = [...new Set([...Object.keys(old), ...Object.keys(key)])].filter((name) => old[name] !== key[name]);
  if (changed.length > 0) {
    const changes = changed.map((name) => `${name} was ${String(old[name])}, is ${String(key[name])}`);
    throw new InputError(`${action}: it was started with other settings: ${changes.join('; ')}`);
  }
  if (head['layout'] !== layoutHash(shards)) {
    throw new InputError(`${action}: it was started with another list of tensors or another shard size`);
  }
  const journaled = new Map<string, string>();
  for (const line of lines) {
    // The last line may be torn by a crash; its tensors are simply written again.
    if (typeof line?.['tensor'] === 'string' && typeof line['sha256'] === 'string') {
      journaled.set(line['tensor'], line['sha256']);
    }
  }
  return { journal: await openJournal(path), journaled };
}

export function hasJournal(directory: string): boolean {
  return existsSync(join(directory, JOURNAL_FILE));
}

async function openJournal(path: string): Promise<Journal> {
  const handle: FileHandle = await writing(path, () => open(path, 'a'));
  return {
    async append(tensors) {
      const lines = Array.from(tensors, ([tensor, sha256]) => `${JSON.stringify({ tensor, sha256 })}\n`);
      if (lines.length === 0) return;
      // A newline first, in case an earlier run tore its last line.
      await writing(path, async () => {
        await handle.appendFile(`\n${lines.join('')}`);
        await handle.sync();
      });
    },
    close: () => handle.close(),
  };
}

function parseLine(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

function layoutHash(shards: readonly ShardLayout[]): string {
  const hash = createHash('sha256');
  for (const { file, header } of shards) hash.update(file).update(header);
  return hash.digest('hex');
}
