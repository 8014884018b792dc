import { createHash } from 'node:crypto';
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { InputError, type Location } from '../errors.js';
import type { Message, Sample } from '../data/sample.js';
import type { FormatterRecipe } from './recipe.js';

/**
 * Applies a calibration set's formatter to a sample whose schema the source has already read: `raw_text` becomes a user
 * turn with the prefix and an assistant turn with the text; elsewhere the prefix goes before the first user message.
 */
export function applyFormatter(sample: Sample, formatter: FormatterRecipe): Sample {
  const prefix = formatter.prefix === null ? null : renderPrefix(formatter.prefix, sample);
  const messages = toMessages(sample, formatter, prefix);
  return messages === null ? sample : { ...sample, content: { kind: 'messages', messages, tools: toolsOf(sample) } };
}

function toMessages({ content }: Sample, { name }: FormatterRecipe, prefix: string | null): readonly Message[] | null {
  if (content.kind === 'text' && name === 'raw_text') {
    const answer: Message = { role: 'assistant', content: content.text };
    return prefix === null ? [answer] : [{ role: 'user', content: prefix }, answer];
  }
  if (content.kind !== 'messages' || prefix === null) return null;
  const first = content.messages.findIndex(({ role }) => role === 'user');
  if (first === -1) return [{ role: 'user', content: prefix }, ...content.messages];
  return content.messages.map((message, index) =>
    index === first ? { ...message, content: prefix + (message.content ?? '') } : message,
  );
}

function toolsOf({ content }: Sample) {
  return content.kind === 'messages' ? content.tools : null;
}

/** Refuses a prefix template that would fail on some row: a syntax error, or a modulus beyond the list it indexes. */
export function checkPrefix(prefix: string, locate: () => Location): void {
  try {
    void new Template(prefix);
  } catch (error) {
    throw new InputError(
      `Cannot parse the prefix as a template: ${error instanceof Error ? error.message : String(error)}`,
      {
        location: locate(),
        cause: error,
      },
    );
  }
  for (const match of prefix.matchAll(/(\[[^\]]*\])\s*\[\s*hash\([^)]*\)\s*%\s*(\d+)\s*\]/gu)) {
    const items = match[1]?.match(/'[^']*'|"[^"]*"/gu)?.length ?? 0;
    if (items > 0 && Number(match[2]) > items) {
      throw new InputError(`Cannot use the prefix: it chooses among ${match[2]}, but its list has ${items}`, {
        location: locate(),
      });
    }
  }
}

/**
 * Renders a prefix. `row` is the sample's content; `hash()` is stable, unlike Python's, which is salted per process, so
 * that the same row always gets the same choice.
 */
function renderPrefix(prefix: string, sample: Sample): string {
  if (!prefix.includes('{{') && !prefix.includes('{%')) return prefix;
  const environment = new Environment();
  environment.set('row', sample.content.kind === 'tokens' ? sample.origin.recordId : JSON.stringify(sample.content));
  environment.set('hash', (value: unknown) => stableHash(String(value)));
  const result: unknown = new Interpreter(environment).run(new Template(prefix).parsed).value;
  return String(result);
}

const HASH_BYTES = 4;

export function stableHash(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, HASH_BYTES);
}
