import { isRecord } from '../row.js';
import { createMessage } from './message.js';
import type { RowContext, Schema } from './schema.js';
import { asList, asRecord, asText, RowProblem } from './shape.js';

/** `deepmind/code_contests` numbers its languages. */
const LANGUAGES: Readonly<Record<number, string>> = { 1: 'python', 2: 'cpp', 3: 'python', 4: 'java' };

function isSolutions(value: unknown): boolean {
  return isRecord(value) && Array.isArray(value['solution']);
}

/** `deepmind/code_contests`: a problem's `description`, and the first of its `solutions` that were accepted. */
export const codeContestsSchema: Schema = {
  name: 'deepmind_code_contests',
  matches: ({ row }: RowContext) => typeof row['description'] === 'string' && isSolutions(row['solutions']),
  columns: () => ['description', 'solutions'],
  normalize({ row }) {
    const solutions = asRecord(row['solutions'], ['solutions']);
    const [solution] = asList(solutions['solution'], ['solutions', 'solution']);
    if (solution === undefined) throw new RowProblem(['solutions', 'solution'], 'wanted a solution, got none');
    const [number] = asList(solutions['language'] ?? [], ['solutions', 'language']);
    const code = asText(solution, ['solutions', 'solution', 0]).trimEnd();
    const language = LANGUAGES[Number(number)] ?? '';
    const messages = [
      createMessage({ role: 'user', content: asText(row['description'], ['description']), path: ['description'] }),
      createMessage({ role: 'assistant', content: `\`\`\`${language}\n${code}\n\`\`\``, path: ['solutions'] }),
    ];
    return { content: { kind: 'messages', messages, tools: null }, category: 'code' };
  },
};
