import type { Sample } from '../data/sample.js';

/**
 * What a sample says of its own: system prompts and tool declarations left out, which whole data sets share and by which
 * all their rows would look alike.
 */
export function sampleText({ content }: Sample): string {
  if (content.kind === 'tokens') return '';
  if (content.kind === 'text') return content.text;
  return content.messages
    .filter(({ role }) => role !== 'system' && role !== 'developer')
    .flatMap(({ content: text, reasoningContent, toolCalls }) => [
      reasoningContent ?? '',
      text ?? '',
      ...(toolCalls ?? []).map((call) => JSON.stringify(call.arguments)),
    ])
    .filter((text) => text !== '')
    .join('\n');
}

/** Everything a sample holds, system prompts too: where secrets may hide. */
export function wholeText(sample: Sample): string {
  const { content } = sample;
  if (content.kind !== 'messages') return sampleText(sample);
  const systems = content.messages
    .filter(({ role }) => role === 'system' || role === 'developer')
    .map(({ content: text }) => text ?? '');
  return [...systems, sampleText(sample)].join('\n');
}
