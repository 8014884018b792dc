import { createHash, type Hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.js';
import { InputError } from '../errors.js';
import { assertFreeSpace, PARTIAL_SUFFIX, syncFolder, writeFileDurably, writeFully, writing } from './durable.js';
import type { TensorEntry } from './encode.js';
import { assertRelativeName } from './inside.js';
import { createJournal, JOURNAL_FILE, resumeJournal, type Journal, type RunKey } from './journal.js';
import { lockFolder, prepareFolder } from './output-folder.js';
import { intactTensors } from './intact.js';
import { indexJson, layOutShards, type PlacedTensor, type ShardLayout } from './shard-layout.js';
import { copySideFiles } from './side-files.js';
import type { TensorSource } from './tensor-source.js';

/** Tensors are copied and re-read in pieces of this size. */
const CHUNK_BYTES = 16 << 20;

export interface WriterOptions {
  /** Every tensor of the checkpoint, in an order of its own: it decides which shard holds what. */
  readonly entries: readonly TensorEntry[];
  /** What determined the tensors; a run is only resumed under an equal key. */
  readonly key: RunKey;
  /** Bytes of tensor data per shard, 5 GB unless told. */
  readonly maxShardBytes?: number;
  /**
   * What to do with a checkpoint, finished or interrupted, that is in the folder already: `refuse` (default), go on
   * where an interrupted run stopped, or `replace` it.
   */
  readonly existing?: 'refuse' | 'resume' | 'replace';
}

/** Bytes of a tensor: at once, or piece by piece. */
export type TensorBytes = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a checkpoint whose tensors are known beforehand, so that every byte has its place from the start: tensors
 * may come in any order and stream, nothing is buffered. A shard bears its own name only once it is complete and
 * synced; index and config.json come last.
 */
export interface CheckpointWriter {
  readonly shards: readonly ShardLayout[];
  /** Tensors that need not be written again: from this run, or re-read and found intact from an earlier one. */
  readonly written: ReadonlySet<string>;
  write(name: string, bytes: TensorBytes): Promise<void>;
  /** Copies a stored tensor bit for bit, in bounded pieces. */
  copy(source: TensorSource, name: string): Promise<void>;
  /** Makes everything written so far survive a crash. */
  commit(): Promise<void>;
  /** Completes the checkpoint, in a folder that stays locked; throws when a tensor is missing. */
  finish(parts: CheckpointParts): Promise<void>;
  /** Lets go of files and folder, finished or not; what is committed can be resumed. */
  close(): Promise<void>;
}

export interface CheckpointParts {
  /** The text of config.json, from `quantizedConfig`. */
  readonly config: string;
  /** The model folder whose side files are copied. */
  readonly sideFilesFrom?: string;
  /** Further files by relative name; they win over side files of the same name. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

interface OpenShard {
  readonly layout: ShardLayout;
  readonly handle: FileHandle;
  readonly missing: Set<string>;
}

/** Prepares the folder; see `CheckpointWriter`. Throws InputError when the folder is taken or the disk too small. */
export async function createCheckpointWriter(directory: string, options: WriterOptions): Promise<CheckpointWriter> {
  const shards = layOutShards(options.entries, options.maxShardBytes);
  const places = placeTensors(shards, options.entries.length);
  await writing(directory, () => makeFolder(directory));
  const unlock = await lockFolder(directory);
  try {
    const { journal, written } = await prepare(directory, options, shards);
    return tensorWriter(directory, { shards, places, journal, written, unlock });
  } catch (error) {
    await unlock();
    throw error;
  }
}

interface Workplace {
  readonly shards: readonly ShardLayout[];
  readonly places: ReadonlyMap<string, Place>;
  readonly journal: Journal;
  readonly written: Set<string>;
  readonly unlock: () => Promise<void>;
}

interface Place {
  readonly shard: ShardLayout;
  readonly tensor: PlacedTensor;
}

/** Starts a journal, or takes up that of an interrupted run with the tensors that are still intact. */
async function prepare(directory: string, { existing = 'refuse', key }: WriterOptions, shards: readonly ShardLayout[]) {
  const tensors = shards.flatMap((shard) => [...shard.tensors.values()]);
  const assertRoom = (written: ReadonlySet<string>): Promise<void> =>
    assertFreeSpace(
      directory,
      tensors.reduce((sum, { name, bytes }) => sum + (written.has(name) ? 0 : bytes), 0),
    );
  if (!(await prepareFolder(directory, existing))) {
    const written = new Set<string>();
    await assertRoom(written);
    return { journal: await createJournal(directory, key, shards), written };
  }
  const { journal, journaled } = await resumeJournal(directory, key, shards);
  try {
    const written = await intactTensors(directory, shards, journaled);
    await assertRoom(written);
    return { journal, written };
  } catch (error) {
    await journal.close();
    throw error;
  }
}

function tensorWriter(directory: string, { shards, places, journal, written, unlock }: Workplace): CheckpointWriter {
  const openShards = new Map<ShardLayout, Promise<OpenShard>>();
  const uncommitted = new Map<string, string>();

  const openShard = (layout: ShardLayout): Promise<OpenShard> => {
    let shard = openShards.get(layout);
    if (shard === undefined) {
      shard = openPartial(directory, layout, written);
      openShards.set(layout, shard);
      // A shard that could not be opened may be tried again, and has no handle to sync or close.
      shard.catch(() => openShards.delete(layout));
    }
    return shard;
  };

  // Commits and renames follow one another: a handle must not be closed while it is being synced.
  let last: Promise<void> = Promise.resolve();
  const inTurn = (step: () => Promise<void>): Promise<void> => {
    const turn = last.then(step);
    last = turn.catch(() => undefined);
    return turn;
  };

  const complete = async ({ layout, handle }: OpenShard): Promise<void> => {
    const path = join(directory, layout.file);
    await sync();
    openShards.delete(layout);
    await handle.close();
    await writing(path, async () => {
      await rename(path + PARTIAL_SUFFIX, path);
      await syncFolder(directory);
    });
  };

  const sync = async (): Promise<void> => {
    const batch = [...uncommitted];
    for (const shard of openShards.values()) {
      const { handle, layout } = await shard;
      await writing(join(directory, layout.file), () => handle.datasync());
    }
    await journal.append(batch);
    for (const [name] of batch) uncommitted.delete(name);
  };

  const write = async (name: string, bytes: TensorBytes): Promise<void> => {
    const place = places.get(name);
    if (place === undefined) throw new RangeError(`write tensor '${name}': the checkpoint's plan has no such tensor`);
    if (written.has(name)) throw new RangeError(`write tensor '${name}': it is written already`);
    const shard = await openShard(place.shard);
    const hash = createHash('sha256');
    const path = join(directory, place.shard.file);
    await writing(path, () => writePieces(shard.handle, place.tensor, bytes, hash));
    uncommitted.set(name, hash.digest('hex'));
    written.add(name);
    shard.missing.delete(name);
    if (shard.missing.size === 0) await inTurn(() => complete(shard));
  };

  const closeFiles = async (): Promise<void> => {
    for (const shard of openShards.values()) await (await shard).handle.close();
    openShards.clear();
    await journal.close();
  };

  let isLocked = true;
  const close = async (): Promise<void> => {
    try {
      await closeFiles();
    } finally {
      // Once: by then the folder may be another run's.
      if (isLocked) await unlock();
      isLocked = false;
    }
  };

  return {
    shards,
    written,
    write,
    copy: (source, name) => write(name, storedPieces(source, name)),
    commit: () => inTurn(sync),
    async finish({ config, sideFilesFrom, files = {} }) {
      const missing = [...places.keys()].filter((name) => !written.has(name));
      if (missing.length > 0) {
        throw new RangeError(
          `finish checkpoint '${directory}': ${missing.length} tensors are missing, first '${missing[0]}'`,
        );
      }
      // Shards completed by an earlier run's last write, or empty ones, still bear their temporary name.
      for (const layout of shards) {
        if (!existsSync(join(directory, layout.file))) {
          const shard = await openShard(layout);
          await inTurn(() => complete(shard));
        }
      }
      await closeFiles();
      for (const name of Object.keys(files)) assertRelativeName(directory, name);
      if (sideFilesFrom !== undefined) await copySideFiles(sideFilesFrom, directory, new Set(Object.keys(files)));
      for (const [name, content] of Object.entries(files)) await writeFileDurably(join(directory, name), content);
      const index = indexJson(shards);
      if (index !== null) await writeFileDurably(join(directory, index.file), index.text);
      await writeFileDurably(join(directory, 'config.json'), config);
      await rm(join(directory, JOURNAL_FILE));
      await syncFolder(directory);
    },
    close,
  };
}

function placeTensors(shards: readonly ShardLayout[], count: number): Map<string, Place> {
  const places = new Map(
    shards.flatMap((shard) => [...shard.tensors].map(([name, tensor]) => [name, { shard, tensor }] as const)),
  );
  if (places.size !== count) throw new RangeError(`write checkpoint: ${count - places.size} tensor names occur twice`);
  return places;
}

/** Opens the temporary file of a shard, giving a fresh one its header and size. */
async function openPartial(directory: string, layout: ShardLayout, written: ReadonlySet<string>): Promise<OpenShard> {
  const path = join(directory, layout.file) + PARTIAL_SUFFIX;
  return writing(path, async () => {
    const handle = await open(path, existsSync(path) ? 'r+' : 'w+');
    try {
      await handle.truncate(layout.size);
      await writeFully(handle, layout.header, 0);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return { layout, handle, missing: new Set([...layout.tensors.keys()].filter((name) => !written.has(name))) };
  });
}

async function writePieces(handle: FileHandle, tensor: PlacedTensor, bytes: TensorBytes, hash: Hash): Promise<void> {
  let done = 0;
  for await (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
    if (done + piece.length <= tensor.bytes) await writeFully(handle, piece, tensor.position + done);
    hash.update(piece);
    done += piece.length;
  }
  if (done !== tensor.bytes) {
    throw new RangeError(`write tensor '${tensor.name}': wanted ${tensor.bytes} bytes, got ${done}`);
  }
}

function* storedPieces(source: TensorSource, name: string): Iterable<Uint8Array> {
  const info = source.infos.get(name);
  if (info === undefined) throw new InputError(`copy tensor '${name}': '${source.directory}' stores no such tensor`);
  const size = info.end - info.begin;
  for (let begin = 0; begin < size; begin += CHUNK_BYTES) {
    yield source.readBytes(name, begin, Math.min(size, begin + CHUNK_BYTES));
  }
}
