import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Message, Sample } from '../../src/data/sample.js';
import { InputError } from '../../src/errors.js';
import { loadChatTemplate, type ChatTemplate } from '../../src/text/chat-template.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';
import { render } from '../../src/text/render.js';
import { specialTokensPattern, type SpecialTokens } from '../../src/text/spans.js';
import { messagesOf, recordOf, samplesOf, SET_NAMES } from './shipped.js';

const MODEL = fileURLToPath(new URL('../models/polyglot-moe-18m', import.meta.url));
const FOLDER = fileURLToPath(new URL('templates', import.meta.url));
const SHIPPED_MODEL = 'polyglot-moe-18m';
const names = [SHIPPED_MODEL, ...readdirSync(FOLDER)];

/** What a template cannot take by the design of its model, as its own refusal says; every other row it has to render. */
const REFUSES: Readonly<Record<string, (messages: readonly Message[]) => boolean>> = {
  'headers-single-call.jinja': (messages) => messages.some(({ toolCalls }) => (toolCalls?.length ?? 0) > 1),
  'turns-no-tools.jinja': (messages) => messages.some(({ role }) => role === 'tool'),
};

let samples: Sample[];
let specialTokens: SpecialTokens;

beforeAll(async () => {
  samples = (await Promise.all(SET_NAMES.map(samplesOf))).flat();
  const tokenizer = await loadTokenizer(MODEL);
  specialTokens = specialTokensPattern(tokenizer.specialTokens.keys(), '<|im_end|>', null);
});

async function load(name: string): Promise<ChatTemplate> {
  const template = await loadChatTemplate(MODEL, name === SHIPPED_MODEL ? undefined : `${FOLDER}/${name}`);
  if (template === null) throw new Error(`"${name}" holds no template`);
  return { ...template, tokens: { bos_token: '<s>', eos_token: '</s>', ...template.tokens } };
}

describe.each(names)('%s', (name) => {
  it('renders every row whose calls its model can make, and refuses the others', async () => {
    const chat = await load(name);
    const refused: string[] = [];
    for (const sample of samples) {
      try {
        const { text, dropped } = render(sample, chat, { specialTokens });
        expect(text.length).toBeGreaterThan(0);
        const lost = dropped.filter(({ channel }) => channel === 'user' || channel === 'tool');
        expect(lost, `${recordOf(sample)} lost`).toEqual([]);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        refused.push(recordOf(sample));
      }
    }
    const expected = samples.filter((sample) => REFUSES[name]?.(messagesOf(sample)) ?? false).map(recordOf);
    expect(refused).toEqual(expected);
  });
});

it('the shipped model prints everything a row holds', async () => {
  const chat = await load(SHIPPED_MODEL);
  for (const sample of samples) {
    expect(render(sample, chat, { specialTokens }).dropped, recordOf(sample)).toEqual([]);
  }
});
