import { isRecord } from '../row.js';
import { asText, isAbsent, wrong, type Path } from './shape.js';

export interface Content {
  readonly text: string | null;
  readonly reasoning: string | null;
}

const TEXT_PARTS = new Set(['text', 'input_text', 'output_text']);
const REASONING_PARTS = new Set(['thinking', 'reasoning']);

/** A message's content: a string, null, or a list of text parts, joined as chat templates join them, with nothing. */
export function readContent(value: unknown, path: Path): Content {
  if (isAbsent(value)) return { text: null, reasoning: null };
  if (typeof value === 'string') return { text: value, reasoning: null };
  if (isRecord(value)) return readParts([value], path);
  return Array.isArray(value) ? readParts(value, path) : wrong(path, 'a string, null or a list of parts', value);
}

function readParts(parts: readonly unknown[], path: Path): Content {
  const texts: string[] = [];
  const reasonings: string[] = [];
  for (const [index, part] of parts.entries()) {
    const place = [...path, index];
    if (typeof part === 'string') {
      texts.push(part);
      continue;
    }
    if (!isRecord(part)) wrong(place, 'a part', part);
    const type = isAbsent(part['type']) ? 'text' : part['type'];
    if (typeof type === 'string' && TEXT_PARTS.has(type)) {
      texts.push(asText(part['text'], [...place, 'text']));
    } else if (typeof type === 'string' && REASONING_PARTS.has(type)) {
      reasonings.push(asText(part['thinking'] ?? part['reasoning'] ?? part['text'], place));
    } else {
      wrong([...place, 'type'], '"text" (other parts cannot calibrate a text model)', type);
    }
  }
  return {
    text: texts.length === 0 ? null : texts.join(''),
    reasoning: reasonings.length === 0 ? null : reasonings.join('\n'),
  };
}
