import { isRecord, type RowValue } from '../row.js';
import type { RowContext } from './schema.js';
import { asList, decodeJson, RowProblem } from './shape.js';

/** Items looked at to tell what a list holds: a system prompt may come first, whatever follows it. */
const PROBED_ITEMS = 4;

export interface FoundList {
  readonly column: string;
  readonly items: readonly unknown[];
}

/**
 * The column whose list of objects is of the wanted kind: among the recipe's columns where it names some, else under the
 * usual names first, then under any.
 */
export function findList(
  context: RowContext,
  usual: readonly string[],
  isItem: (item: RowValue) => boolean,
): FoundList | null {
  const { row } = context;
  const names = context.columns ?? [...usual, ...Object.keys(row)];
  for (const column of names) {
    const items = decodeJson(row[column]);
    if (!Array.isArray(items) || items.length === 0) continue;
    const probed = items.slice(0, PROBED_ITEMS);
    if (probed.every((item) => isRecord(item)) && probed.some((item) => isRecord(item) && isItem(item))) {
      return { column, items };
    }
  }
  return null;
}

/** {@link findList}, or the first named column's list whatever it holds, so that its reader says what is wrong with it. */
export function requireList(
  context: RowContext,
  usual: readonly string[],
  isItem: (item: RowValue) => boolean,
  wanted: string,
): FoundList {
  const found = findList(context, usual, isItem);
  if (found !== null) return found;
  for (const column of context.columns ?? usual) {
    const value = context.row[column];
    if (value === undefined || value === null) continue;
    const items = asList(value, [column]);
    if (items.length === 0) throw new RowProblem([column], `wanted ${wanted}, got an empty list`);
    return { column, items };
  }
  throw new RowProblem(
    [],
    `wanted a column with ${wanted}, got ${Object.keys(context.row).join(', ') || 'no columns'}`,
  );
}
