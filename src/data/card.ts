import { parseDocument } from 'yaml';
import * as z from 'zod';
import { InputError } from '../errors.js';
import { messageOf } from './row.js';

const paths = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());

const licenses = z.union([z.string(), z.array(z.string()).min(1)]).transform((value) => [value].flat());

const configs = z
  .array(
    z.looseObject({
      config_name: z.string(),
      data_files: z
        .union([z.array(z.looseObject({ split: z.string(), path: paths })), z.record(z.string(), paths), paths])
        .optional(),
      data_dir: z.string().optional(),
      default: z.boolean().optional(),
    }),
  )
  .min(1);

/** A subset as a card declares it. */
export type Config = z.infer<typeof configs>[number];

/** The front matter of a card is a few kilobytes, hundreds for sets with a subset per language. */
const MAX_FRONT_MATTER = 4 << 20;

/** More aliases than a hand writes: YAML's way to make gigabytes of a few lines. */
const MAX_ALIASES = 100;

/** What the front matter of a dataset's README.md says about reading it. */
export interface DatasetCard {
  readonly configs: readonly Config[] | null;
  readonly license: string | null;
}

/** Throws InputError when `configs` are there but not as they should be; other faults of the front matter are let be. */
export function readCard(readme: string | null, dataset: string): DatasetCard {
  const nothing = { configs: null, license: null };
  const frontMatter = /^---\r?\n([\s\S]*?)\r?\n---/u.exec(readme?.slice(0, MAX_FRONT_MATTER) ?? '')?.[1];
  if (frontMatter === undefined) return nothing;
  const document = parseDocument(frontMatter, { logLevel: 'error' });
  if (document.errors.length > 0) return nothing;
  let card: unknown;
  try {
    card = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new InputError(`Cannot read the card of "${dataset}": ${messageOf(error)}`, { cause: error });
  }
  if (typeof card !== 'object' || card === null) return nothing;
  const license = licenses.safeParse('license' in card ? card.license : null);
  const declared: unknown = 'configs' in card ? card.configs : null;
  const found = { license: license.success ? license.data.join(' AND ') : null, configs: null };
  if (declared === null || declared === undefined) return found;
  const parsed = configs.safeParse(declared);
  if (parsed.success) return { ...found, configs: parsed.data };
  const [issue] = parsed.error.issues;
  throw new InputError(
    `Cannot read the card of "${dataset}": configs.${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
  );
}
