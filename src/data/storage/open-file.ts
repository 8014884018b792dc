import { InputError } from '../../errors.js';
import type { ByteSource } from '../byte-source.js';
import type { RowFile } from '../row.js';
import { openArrow } from './arrow.js';
import { openJsonLines } from './json-lines.js';
import { openJson } from './json.js';
import { openPlainText } from './plain-text.js';

type Opener = (source: ByteSource) => RowFile | Promise<RowFile>;

/** Storage formats by the ends of file names, without `.gz` and `.zst`. */
const OPENERS: ReadonlyMap<string, Opener> = new Map<string, Opener>([
  // The one format whose library takes longer to load than most files to read.
  ['parquet', async (source) => (await import('./parquet.js')).openParquet(source)],
  ['jsonl', openJsonLines],
  ['ndjson', openJsonLines],
  ['json', openJson],
  ['arrow', openArrow],
  ['feather', openArrow],
  ['txt', openPlainText],
  ['md', openPlainText],
]);

const DATA_FILE_ENDINGS: readonly string[] = [...OPENERS.keys()];

/** The format's ending, in lower case: `jsonl` of `a.jsonl.gz`. */
export function endingOf(name: string): string {
  return /\.([^./\\]+)(?:\.(?:gz|zst|zstd))?$/iu.exec(name)?.[1]?.toLowerCase() ?? '';
}

/** Whether the name is that of a file of rows. */
export function isDataFile(name: string): boolean {
  return OPENERS.has(endingOf(name));
}

/** Opens a file of rows by its name's ending. */
export async function openRows(source: ByteSource): Promise<RowFile> {
  const opener = OPENERS.get(endingOf(source.name));
  if (opener === undefined) {
    await source.close();
    throw new InputError(`Cannot read "${source.name}": wanted a file of ${DATA_FILE_ENDINGS.join(', ')}`);
  }
  try {
    return await opener(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}
