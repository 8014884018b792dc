import { asText, isAbsent, type Path } from './shape.js';

/**
 * Names under which messages carry their reasoning, the surest first: DeepSeek's and OpenHands' `reasoning_content`,
 * vLLM's `reasoning`, gpt-oss' `thinking`.
 */
export const REASONING_KEYS = ['reasoning_content', 'reasoning', 'thinking'] as const;

/** The reasoning of a message under any of its names; null where there is none. */
export function reasoningOf(message: Readonly<Record<string, unknown>>, path: Path): string | null {
  for (const key of REASONING_KEYS) {
    const value = message[key];
    if (isAbsent(value) || value === '') continue;
    return asText(value, [...path, key]);
  }
  return null;
}

/**
 * Splits reasoning that stands inline before the answer. Some sets leave the opening tag out, because the generation
 * prompt printed it.
 */
export function splitInlineReasoning(content: string): { readonly reasoning: string; readonly answer: string } | null {
  const match = /^\s*(?:<(think|thinking|thought)>)?([\s\S]*?)<\/(think|thinking|thought)>\s*/u.exec(content);
  if (match === null) return null;
  const [whole, opening, reasoning = '', closing] = match;
  if (opening !== undefined && opening !== closing) return null;
  // Without the opening tag, only the tag that templates print is taken for one.
  if (opening === undefined && (closing !== 'think' || /<think>/u.test(content))) return null;
  return { reasoning: reasoning.trim(), answer: content.slice(whole.length) };
}
