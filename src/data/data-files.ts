import { InputError } from '../errors.js';
import type { Config, DatasetCard } from './card.js';
import { globPattern } from './glob.js';
import { endingOf, isDataFile } from './storage/open-file.js';
import { chooseSplit } from './storage/saved-dataset.js';

/** What decides which files of a folder or repository are meant. */
export interface DataFilesQuery {
  /** As errors name it. */
  readonly dataset: string;
  /** Paths with slashes, relative to the root. */
  readonly files: readonly string[];
  readonly card: DatasetCard;
  readonly subset: string | undefined;
  readonly split: string | undefined;
}

/**
 * The data files of a subset and split, found as Python's `datasets` finds them: by the card's `configs`, else by file
 * names (`data/train-00000-of-00002.parquet`, a folder or a word in the name called train, validation, test …), else all.
 *
 * @throws InputError naming the choices when subset or split is missing or not there
 */
export function findDataFiles(query: DataFilesQuery): string[] {
  const { configs } = query.card;
  if (configs !== null) return filesOfConfig(chooseConfig(configs, query), query);
  const files = query.subset === undefined ? query.files : inFolder(query.files, query.subset);
  if (files.length === 0 && query.subset !== undefined) {
    throw new InputError(`Cannot read dataset "${query.dataset}": it has no subset "${query.subset}"`);
  }
  return filesByName(files, query);
}

/** The named subset, else the default one, else the only one. */
function chooseConfig(available: readonly Config[], { dataset, subset }: DataFilesQuery): Config {
  const chosen =
    subset === undefined
      ? (available.find((config) => config.default === true || config.config_name === 'default') ??
        (available.length === 1 ? available[0] : undefined))
      : available.find((config) => config.config_name === subset);
  if (chosen !== undefined) return chosen;
  const names = available.map((config) => config.config_name).join(', ');
  const problem = subset === undefined ? 'several subsets and none is chosen' : `no subset "${subset}"`;
  throw new InputError(`Cannot read dataset "${dataset}": ${problem}; it has ${names}`);
}

function filesOfConfig(config: Config, query: DataFilesQuery): string[] {
  const base = config.data_dir === undefined ? '' : `${config.data_dir.replace(/^\.?\/|\/$/gu, '')}/`;
  const { data_files: declared } = config;
  if (declared === undefined) return filesByName(inFolder(query.files, base.slice(0, -1)), query);
  const splits = splitPatterns(declared);
  const split = chooseSplit([...splits.keys()], query.split, query.dataset);
  const patterns = (splits.get(split) ?? []).map((pattern) => globPattern(base + pattern.replace(/^\.?\//u, '')));
  const files = query.files.filter((path) => patterns.some((pattern) => pattern.test(path)));
  if (files.length > 0) return files.sort(byName);
  throw new InputError(
    `Cannot read dataset "${query.dataset}": no file matches ${base}${splits.get(split)?.join(', ') ?? ''}, the files of split "${split}"`,
  );
}

/** Patterns by split, in the card's order; a bare list is `train`. */
function splitPatterns(declared: NonNullable<Config['data_files']>): Map<string, string[]> {
  const splits = new Map<string, string[]>();
  const add = (split: string, patterns: readonly string[]) =>
    splits.set(split, [...(splits.get(split) ?? []), ...patterns]);
  if (!Array.isArray(declared)) {
    for (const [split, patterns] of Object.entries(declared)) add(split, patterns);
    return splits;
  }
  for (const each of declared) {
    if (typeof each === 'string') add('train', [each]);
    else add(each.split, each.path);
  }
  return splits;
}

/** Names that say a split, as words of folders and files. */
const SPLIT_WORDS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    train: ['train', 'training'],
    validation: ['validation', 'valid', 'val', 'dev'],
    test: ['test', 'testing', 'eval', 'evaluation'],
  }).flatMap(([split, words]) => words.map((word): [string, string] => [word, split])),
);

/** Files beside the data. */
const NO_DATA = /(?:^|\/)(?:\.|__|readme|license|dataset_infos?\.json$|state\.json$|config\.json$|metadata\.json$)/iu;

function filesByName(available: readonly string[], query: DataFilesQuery): string[] {
  const files = commonestEnding(available.filter((path) => isDataFile(path) && !NO_DATA.test(path)));
  const numbered = files.filter((path) => shardSplit(path) !== null);
  const bySplit = new Map<string, string[]>();
  for (const path of numbered.length > 0 ? numbered : files) {
    const split = splitByName(path);
    bySplit.set(split, [...(bySplit.get(split) ?? []), path]);
  }
  if (bySplit.size === 0) throw new InputError(`Cannot read dataset "${query.dataset}": it has no data files`);
  return (bySplit.get(chooseSplit([...bySplit.keys()], query.split, query.dataset)) ?? []).sort(byName);
}

/** Files of rows in another format than the chosen ones: they are passed over, which somebody may not have meant. */
export function otherFormats(files: readonly string[], chosen: readonly string[]): string[] {
  const ending = endingOf(chosen[0] ?? '');
  return files
    .filter((path) => isDataFile(path) && !NO_DATA.test(path))
    .filter((path) => endingOf(path) !== ending && !PROSE.has(endingOf(path)))
    .sort(byName);
}

/** The split that a file's name says; `train` where it says none. */
export function splitByName(path: string): string {
  return shardSplit(path) ?? wordSplit(path) ?? 'train';
}

/** `train` of `data/train-00000-of-00002.parquet`. */
function shardSplit(path: string): string | null {
  return /(?:^|\/)([\w.]+?)-\d{5}-of-\d{5}/u.exec(path)?.[1] ?? null;
}

function wordSplit(path: string): string | null {
  const words = path.toLowerCase().split(/[^a-z]+/u);
  for (const word of words.toReversed()) {
    const split = SPLIT_WORDS.get(word);
    if (split !== undefined) return split;
  }
  return null;
}

/** Prose beside the data, unless it is all there is. */
const PROSE = new Set(['txt', 'md']);

/** A repository may hold its rows in two formats: the one with more files is read. */
function commonestEnding(files: readonly string[]): string[] {
  const structured = files.filter((path) => !PROSE.has(endingOf(path)));
  const candidates = structured.length > 0 ? structured : files;
  const counts = new Map<string, number>();
  for (const path of candidates) counts.set(endingOf(path), (counts.get(endingOf(path)) ?? 0) + 1);
  const [commonest] = [...counts].sort(([, a], [, b]) => b - a);
  return candidates.filter((path) => endingOf(path) === commonest?.[0]);
}

function inFolder(files: readonly string[], folder: string): readonly string[] {
  return folder === '' ? files : files.filter((path) => path.startsWith(`${folder}/`));
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
