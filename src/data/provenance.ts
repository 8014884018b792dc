import type { RowValue } from './row.js';
import { hash32 } from './sampling.js';

/** Columns that say something about a row beside its text. */
export const PROVENANCE_COLUMNS = [
  'record_id',
  'id',
  'uuid',
  'trajectory_id',
  'prompt_id',
  'language',
  'lang',
  'category',
  'license',
  // Marks of a trajectory: there `language` is the programming language.
  'instance_id',
  'repo',
];

export interface RowProvenance {
  /** The row's own id, else null. */
  readonly id: string | null;
  readonly language: string | null;
  readonly category: string | null;
  readonly license: string | null;
}

export function provenanceOf(row: RowValue): RowProvenance {
  const trajectory = typeof row['instance_id'] === 'string' || typeof row['repo'] === 'string';
  return {
    id: firstText(row, ['record_id', 'id', 'uuid', 'trajectory_id', 'prompt_id']),
    language: trajectory ? null : firstText(row, ['language', 'lang']),
    category: firstText(row, ['category']),
    license: licenseOf(row['license']),
  };
}

function firstText(row: RowValue, columns: readonly string[]): string | null {
  for (const column of columns) {
    const value = row[column];
    if (typeof value === 'string' && value.trim() !== '') return value.trim();
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  }
  return null;
}

function licenseOf(value: unknown): string | null {
  if (typeof value === 'string' && value !== '') return value;
  const names = Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
  return names.length === 0 ? null : names.join(' AND ');
}

/** Bits of the filter: 8 MiB, for which a million ids give some 1.5 % needless suffixes, and harmless ones. */
const FILTER_BITS = 2 ** 26;

/**
 * Gives every row an id that no other row of its source has: ids that repeat (some sets number their conversations'
 * pieces alike) get the row's position appended. Constant memory.
 */
export function createRecordIds(): (id: string | null, position: string) => string {
  let filter: Uint32Array | null = null;
  return (id, position) => {
    if (id === null) return position;
    filter ??= new Uint32Array(FILTER_BITS / 32);
    const bit = hash32(id) % FILTER_BITS;
    const seen = ((filter[bit >>> 5] ?? 0) >>> (bit & 31)) & 1;
    filter[bit >>> 5] = (filter[bit >>> 5] ?? 0) | (1 << (bit & 31));
    return seen === 1 ? `${id}#${position}` : id;
  };
}
