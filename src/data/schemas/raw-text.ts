import { isAbsent, RowProblem, asText } from './shape.js';
import type { RowContext, Schema } from './schema.js';

const USUAL_COLUMNS = ['text', 'content', 'document', 'raw_content', 'body', 'article'];

function columnOf({ row, columns }: RowContext): string {
  const named = (columns ?? USUAL_COLUMNS).find((column) => typeof row[column] === 'string');
  const texts = Object.keys(row).filter((column) => typeof row[column] === 'string');
  const only = columns === null && texts.length === 1 ? texts[0] : undefined;
  const column = named ?? only ?? columns?.find((each) => !isAbsent(row[each]));
  if (column === undefined) {
    const got = Object.keys(row).join(', ') || 'no columns';
    throw new RowProblem([], `wanted a column with text, named ${(columns ?? USUAL_COLUMNS).join(' or ')}, got ${got}`);
  }
  return column;
}

/** Plain text, rendered as it is, without a template. */
export const rawTextSchema: Schema = {
  name: 'raw_text',
  matches: ({ row, columns }) => (columns ?? USUAL_COLUMNS).some((column) => typeof row[column] === 'string'),
  columns: (context) => [columnOf(context)],
  normalize(context) {
    const column = columnOf(context);
    return { content: { kind: 'text', text: asText(context.row[column], [column]) } };
  },
};
