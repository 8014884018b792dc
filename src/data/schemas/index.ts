import { InputError } from '../../errors.js';
import { alpacaSchema } from './alpaca.js';
import { atifSchema } from './atif.js';
import { codeContestsSchema } from './code-contests.js';
import { messagesSchema } from './messages.js';
import { openHandsConversationSchema } from './openhands-conversation.js';
import { openHandsEventsSchema } from './openhands-events.js';
import { promptAnswerSchema } from './prompt-answer.js';
import { rawTextSchema } from './raw-text.js';
import type { Schema } from './schema.js';
import { sharegptSchema } from './sharegpt.js';
import { sweAgentSchema } from './swe-agent.js';
import { terminusSchema } from './terminus.js';
import { tokenIdsSchema } from './token-ids.js';

/** In the order in which a row is tried: the more particular first. */
export const SCHEMAS: readonly Schema[] = [
  tokenIdsSchema,
  atifSchema,
  openHandsConversationSchema,
  openHandsEventsSchema,
  sweAgentSchema,
  terminusSchema,
  codeContestsSchema,
  messagesSchema,
  sharegptSchema,
  alpacaSchema,
  promptAnswerSchema,
  rawTextSchema,
];

export const SCHEMA_NAMES: readonly string[] = SCHEMAS.map(({ name }) => name);

/** Names that other tools give a schema. */
const ALIASES: Readonly<Record<string, string>> = {
  chat_completion: 'messages',
  chat_completion_with_sysprompt: 'messages',
  openai: 'messages',
};

/** The schema of a recipe's `format`; null for `auto`. */
export function schemaNamed(name: string): Schema | null {
  if (name === 'auto') return null;
  const schema = SCHEMAS.find((each) => each.name === (ALIASES[name] ?? name));
  if (schema === undefined) {
    throw new InputError(`Cannot read format "${name}": wanted auto or one of ${SCHEMA_NAMES.join(', ')}`);
  }
  return schema;
}
