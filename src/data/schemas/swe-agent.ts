import { isRecord, type RowValue } from '../row.js';
import type { Role } from '../sample.js';
import { findList, requireList } from './find-list.js';
import { createMessage, readRole } from './message.js';
import type { Schema } from './schema.js';
import { asOptionalText, wrong } from './shape.js';

const USUAL_COLUMNS = ['trajectory'];

const ROLES: ReadonlyMap<string, Role> = new Map<string, Role>([
  ['system', 'system'],
  ['user', 'user'],
  ['ai', 'assistant'],
  ['assistant', 'assistant'],
]);

function isStep(item: RowValue): boolean {
  return typeof item['role'] === 'string' && ('text' in item || 'system_prompt' in item);
}

/**
 * SWE-agent trajectories as nebius/SWE-agent-trajectories publishes them: `trajectory[{role, text, system_prompt, mask}]`,
 * where the system turn keeps its text under `system_prompt` and the model is `ai`.
 */
export const sweAgentSchema: Schema = {
  name: 'swe_agent',
  matches: (context) => findList(context, USUAL_COLUMNS, isStep) !== null,
  columns: (context) => [requireList(context, USUAL_COLUMNS, isStep, 'a list of steps').column],
  normalize(context) {
    const { column, items } = requireList(context, USUAL_COLUMNS, isStep, 'a list of steps');
    const messages = items.map((item, index) => {
      const path = [column, index];
      if (!isRecord(item)) return wrong(path, 'a step', item);
      const role = readRole(item['role'], ROLES, [...path, 'role']);
      const text = asOptionalText(item['text'], [...path, 'text']);
      const prompt = role === 'system' ? asOptionalText(item['system_prompt'], [...path, 'system_prompt']) : null;
      return createMessage({ role, content: text === null || text === '' ? (prompt ?? text) : text, path });
    });
    return { content: { kind: 'messages', messages, tools: null }, category: 'coding_agent' };
  },
};
