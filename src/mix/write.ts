import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { toArrowFiles } from './arrow.js';
import { writeFileAtomically } from './atomic-file.js';
import { mixColumns } from './columns.js';
import { toParquet } from './parquet.js';
import { remarkLines, type RowRemark } from './remarks.js';
import type { Mix, MixManifest } from './sequence.js';

export const MANIFEST_FILE = 'manifest.json';
export const PARQUET_FILE = 'mix.parquet';
export const REMARKS_FILE = 'remarks.jsonl';

/**
 * Writes a mix folder: `mix.parquet`, the Arrow files of `datasets.load_from_disk`, `remarks.jsonl` on rows one by one, and
 * `manifest.json` last, so that a folder with a manifest is whole. The same mix gives the same bytes.
 */
export async function writeMix(
  folder: string,
  mix: Mix & { readonly manifest: MixManifest; readonly remarks?: readonly RowRemark[] },
  tokenizer: Pick<Tokenizer, 'decode'>,
): Promise<void> {
  await makeFolder(folder);
  await rm(join(folder, MANIFEST_FILE), { force: true });
  const columns = mixColumns(mix.sequences, tokenizer);
  await writeFileAtomically(join(folder, PARQUET_FILE), toParquet(columns));
  for (const { name, content } of await toArrowFiles(columns)) await writeFileAtomically(join(folder, name), content);
  await writeFileAtomically(join(folder, REMARKS_FILE), remarkLines(mix.remarks ?? []));
  await writeFileAtomically(join(folder, MANIFEST_FILE), `${JSON.stringify(mix.manifest, null, 2)}\n`);
}
