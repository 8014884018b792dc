import { dirname } from 'node:path';
import { InputError } from '../../errors.js';
import { snapshotPath } from './cache.js';
import { downloadFile } from './download.js';
import { listRepository, openRepository, parseHubId } from './open-repository.js';
import { hubSettings, type HubOptions } from './settings.js';

export interface DownloadedModel {
  /** The snapshot in the cache: a model folder. */
  readonly directory: string;
  readonly id: string;
  /** The commit. */
  readonly revision: string;
}

export interface DownloadModelOptions extends HubOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ModelProgress) => void) | undefined;
}

export interface ModelProgress {
  readonly file: string;
  readonly files: number;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** Files at once: enough to fill a line, few enough for the Hub. */
const CONCURRENT_FILES = 4;

/** What a quantizer reads or copies beside it: weights as safetensors, configuration, tokenizer, templates, code, card. */
const NEEDED =
  /(?:^|\/)(?:[^/]+\.safetensors|[^/]+\.json|[^/]+\.jinja|[^/]+\.model|[^/]+\.tiktoken|merges\.txt|vocab\.txt|[^/]+\.py|README\.md|LICENSE[^/]*|NOTICE[^/]*)$/u;

/** The same weights in other layouts and formats. */
const REPEATED =
  /^(?:original|metal|onnx|openvino|gguf|coreml|runs|logs)\/|(?:^|\/)consolidated[^/]*\.safetensors$|(?:^|\/)\./u;

/** Whether a model folder needs the file of this path. */
export function isModelFile(path: string): boolean {
  return NEEDED.test(path) && !REPEATED.test(path);
}

/**
 * Downloads a model of the Hub, only the files that are needed, and returns its folder. Files that the cache has are not
 * fetched again.
 *
 * @param model `org/name` or `org/name@revision`
 * @throws InputError when it cannot be had, or has no config.json
 */
export async function downloadModel(
  model: string,
  revision: string | null = null,
  options: DownloadModelOptions = {},
): Promise<DownloadedModel> {
  const parsed = parseHubId(model);
  if (parsed === null) throw new InputError(`Cannot find model "${model}": wanted a folder or org/name[@revision]`);
  const wanted = revision ?? parsed.revision ?? 'main';
  const repository = await openRepository('model', parsed.id, wanted, hubSettings(options), options.signal);
  const files = (await listRepository(repository)).filter(({ path }) => isModelFile(path));
  if (!files.some(({ path }) => path === 'config.json')) {
    throw new InputError(`Cannot use model "${model}": it has no config.json`);
  }
  const totalBytes = files.reduce((sum, { size }) => sum + Math.max(size, 0), 0);
  const done = new Map<string, number>();
  const report = (file: string, bytes: number) => {
    done.set(file, bytes);
    const total = [...done.values()].reduce((sum, each) => sum + each, 0);
    options.onProgress?.({ file, files: files.length, bytes: total, totalBytes });
  };
  const queue = files.values();
  const work = async () => {
    for (const file of queue) {
      await downloadFile(repository, file, {
        signal: options.signal,
        onProgress: (each, bytes) => {
          report(each.path, bytes);
        },
      });
      report(file.path, Math.max(file.size, 0));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_FILES }, work));
  return { directory: dirname(snapshotPath(repository, 'config.json')), id: parsed.id, revision: repository.sha };
}
