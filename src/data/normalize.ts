import { InputError } from '../errors.js';
import { SCHEMAS } from './schemas/index.js';
import type { RowContext, Schema, SchemaResult } from './schemas/schema.js';
import { RowProblem } from './schemas/shape.js';

/** The schema of a row, judged by its inner keys; null when none fits. */
export function detectSchema(context: RowContext): Schema | null {
  return SCHEMAS.find((schema) => schema.matches(context)) ?? null;
}

/**
 * A row by its schema (`null`: whichever fits).
 *
 * @throws InputError naming the dataset, the row and the key
 */
export function normalizeRow(schema: Schema | null, context: RowContext, dataset: string, place: string): SchemaResult {
  const chosen = schema ?? detectSchema(context);
  const subject = `${place}${place.includes(dataset) ? '' : ` of dataset "${dataset}"`}`;
  if (chosen === null) {
    const columns = (context.columns ?? Object.keys(context.row))
      .map((name) => named(name, context.row[name]))
      .join(', ');
    throw new InputError(
      `Cannot use ${subject}: no schema fits its columns ${columns}; set \`format\` and \`columns\``,
    );
  }
  try {
    return chosen.normalize(context);
  } catch (error) {
    if (!(error instanceof RowProblem)) throw error;
    throw new InputError(`Cannot use ${subject} as ${chosen.name}: ${error.message}`, { cause: error });
  }
}

/** A column that would fit if anything were in it says so. */
function named(column: string, value: unknown): string {
  const isEmpty = value === null || value === '' || (Array.isArray(value) && value.length === 0);
  return isEmpty ? `${column} (empty)` : column;
}
