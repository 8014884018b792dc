import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, constantFrom, property, record, string } from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { JsonObject, Message, Sample } from '../../src/data/sample.js';
import { alignTokens } from '../../src/text/align.js';
import { CHANNELS } from '../../src/text/channel.js';
import { loadChatTemplate, type ChatTemplate } from '../../src/text/chat-template.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';
import { render, type RenderedText } from '../../src/text/render.js';
import { specialTokensPattern, type SpecialTokens } from '../../src/text/spans.js';
import { compileTemplate } from '../../src/text/template-engine.js';
import { templateVocabulary } from '../../src/text/template-messages.js';
import type { Tokenizer } from '../../src/text/tokenizer.js';
import { readOracle } from './oracle.js';

const MODEL = 'test/models/polyglot-moe-18m';

const jsonObject = z.record(z.string(), z.json());
const referenceMessage = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string().nullable(),
  reasoning_content: z.string().optional(),
  name: z.string().optional(),
  tool_call_id: z.string().optional(),
  tool_calls: z
    .array(z.object({ id: z.string(), function: z.object({ name: z.string(), arguments: jsonObject }) }))
    .optional(),
});
const oracle = readOracle(
  'templates',
  z.object({
    templates: z.record(z.string(), z.string()),
    conversations: z.record(
      z.string(),
      z.object({ messages: z.array(referenceMessage), tools: z.array(jsonObject).optional() }),
    ),
    cases: z.array(
      z.object({
        template: z.string(),
        conversation: z.string(),
        arguments: jsonObject,
        text: z.string().optional(),
        error: z.string().optional(),
      }),
    ),
  }),
);

let tokenizer: Tokenizer;
let specialTokens: SpecialTokens;
const templates = new Map<string, ChatTemplate>();

beforeAll(async () => {
  tokenizer = await loadTokenizer(MODEL);
  specialTokens = specialTokensPattern(
    [...tokenizer.specialTokens.keys(), '<start_of_turn>', '<end_of_turn>', '<|User|>', '<|Assistant|>'],
    '<|im_end|>',
    null,
  );
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-template-'));
  for (const [name, source] of Object.entries(oracle.templates)) {
    const path = join(folder, name);
    await mkdir(path);
    await writeFile(join(path, 'chat_template.jinja'), source);
    // The tokens of the reference's tokenizer, which transformers passes to every template.
    await writeFile(
      join(path, 'tokenizer_config.json'),
      JSON.stringify({ eos_token: '<|im_end|>', pad_token: { content: '<|endoftext|>' } }),
    );
    const template = await loadChatTemplate(path);
    if (template !== null) templates.set(name, template);
  }
});

function sampleOf(messages: readonly Message[], tools: readonly JsonObject[] | null = null): Sample {
  return {
    content: { kind: 'messages', messages, tools },
    language: null,
    category: null,
    origin: { source: 'set', revision: null, license: null, recordId: '7' },
  };
}

function fromReference(conversation: string): Sample {
  const { messages, tools = null } = oracle.conversations[conversation] ?? { messages: [] };
  return sampleOf(
    messages.map((message): Message => ({
      role: message.role,
      content: message.content,
      ...(message.reasoning_content === undefined ? {} : { reasoningContent: message.reasoning_content }),
      ...(message.tool_calls === undefined
        ? {}
        : { toolCalls: message.tool_calls.map((call) => ({ id: call.id, ...call.function })) }),
      ...(message.tool_call_id === undefined ? {} : { toolCallId: message.tool_call_id }),
      ...(message.name === undefined ? {} : { name: message.name }),
    })),
    tools,
  );
}

const renderWith = (template: string, sample: Sample, templateArguments: JsonObject = {}) =>
  render(sample, templates.get(template) ?? null, { templateArguments, specialTokens });

/** Text of every span by channel. */
const byChannel = ({ text, spans }: RenderedText) =>
  spans.map(({ channel, start, end }) => `${channel}: ${text.slice(start, end)}`);

describe('render()', () => {
  it.each(oracle.cases)(
    '$template renders $conversation with $arguments as apply_chat_template does',
    ({ template, conversation, arguments: given, text, error }) => {
      const run = () => renderWith(template, fromReference(conversation), given).text;
      if (error === undefined) expect(run()).toBe(text);
      else expect(run).toThrow(error);
    },
  );

  it('covers every rendering with spans, end to end', () => {
    for (const { template, conversation, error } of oracle.cases) {
      if (error !== undefined) continue;
      const { text, spans } = renderWith(template, fromReference(conversation));
      expect(spans.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
    }
  });

  it('attributes headers and tool syntax to the message they frame', () => {
    expect(byChannel(renderWith('polyglot-moe-18m', fromReference('tools')))).toEqual([
      'user: <|im_start|>user\nΚαιρός;<|im_end|>\n',
      expect.stringMatching(
        /^assistant: <\|im_start\|>assistant\n\n<tool_call>\n\{"name": "get_weather".*<\/tool_call><\|im_end\|>\n$/su,
      ),
      'tool: <|im_start|>tool\n{"temp": 31}<|im_end|>\n<|im_start|>tool\ndry<|im_end|>\n',
      'assistant: <|im_start|>assistant\n31°<|im_end|>\n',
    ]);
  });

  it('finds contents that repeat each other and the scaffold', () => {
    const { spans, text } = renderWith('polyglot-moe-18m', fromReference('repeats'));
    expect(spans.filter(({ channel }) => channel === 'user').map(({ start, end }) => text.slice(start, end))).toEqual([
      '<|im_start|>user\nok<|im_end|>\n',
      '<|im_start|>user\nok user<|im_end|>\n',
    ]);
  });

  it('reports the reasoning that a template leaves out, and prints it when told to', () => {
    const stripped = renderWith('thinking-stripped', fromReference('reasoning'));
    expect(stripped.dropped).toEqual([{ channel: 'reasoning', text: 'first thought' }]);
    expect(stripped.raw.reasoning).toBe('first thoughtsecond thought'.length);
    expect(stripped.rendered.reasoning).toBe('second thought'.length);
    expect(renderWith('thinking-stripped', fromReference('reasoning'), { preserve_thinking: true }).dropped).toEqual(
      [],
    );
  });

  it('finds contents by search where marks would change what the template does', () => {
    const messages: Message[] = [
      { role: 'user', content: 'Q' },
      { role: 'assistant', content: 'A' },
      { role: 'user', content: '<tool_response>\nx\n</tool_response>' },
      { role: 'assistant', content: 'B', reasoningContent: 'why' },
    ];
    const rendered = renderWith('thinking-stripped', sampleOf(messages));
    expect(byChannel(rendered).filter((span) => span.startsWith('user'))).toEqual([
      'user: <|im_start|>user\nQ<|im_end|>\n',
      'user: <|im_start|>user\n<tool_response>\nx\n</tool_response><|im_end|>\n',
    ]);
  });

  it('gives arguments as a JSON string to a template that wants one', () => {
    expect(renderWith('string-arguments', fromReference('tools')).text).toContain('{"city":"Θήβα","days":2');
  });

  it('starts every message where its header does', () => {
    const { text, messageStarts } = renderWith('polyglot-moe-18m', fromReference('system'));
    expect(messageStarts.map((start) => text.slice(start, start + 17))).toEqual(
      ['system', 'user\n1', 'assist', 'user\nS', 'assist'].map((head) => `<|im_start|>${head}`.slice(0, 17)),
    );
  });

  it('names row, template and message in an error', () => {
    const messages: Message[] = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'assistant', content: 'c' },
    ];
    expect(() => renderWith('trimmed-alternating', sampleOf(messages))).toThrow(
      'Cannot render row "7" of "set" with the chat template "default": Conversation roles must alternate user/assistant/user/assistant/..., at message 2 (assistant)',
    );
  });

  it('refuses a template that would count to a billion', () => {
    const source = '{% for number in range(1000000000) %}x{% endfor %}';
    const program = compileTemplate(source, 'set');
    const named = { name: 'default', source, program, vocabulary: templateVocabulary(source) };
    const chat = { sha256: '', templates: new Map([['default', named]]), tokens: {} };
    expect(() => render(sampleOf([{ role: 'user', content: 'a' }]), chat, { specialTokens })).toThrow(
      'range() of 1000000000 numbers; at most 100000 are given',
    );
  });

  it('gives up on a template that loops for ever', () => {
    const inner = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}';
    const program = compileTemplate(inner, 'set');
    const started = performance.now();
    expect(() => program({}, '2026-01-01')).toThrow('rendering takes longer than 1 s');
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('passes raw text through, paragraphs as places to cut', () => {
    const sample: Sample = { ...sampleOf([]), content: { kind: 'text', text: 'One.\n\nTwo.' } };
    expect(render(sample, null, { specialTokens })).toMatchObject({
      text: 'One.\n\nTwo.',
      messageStarts: [0, 6],
      spans: [{ channel: 'text' }],
    });
  });

  it('attributes every piece of arbitrary content to its own channel', () => {
    const piece = string({ unit: 'grapheme', minLength: 1 });
    const conversation = array(record({ role: constantFrom('user' as const, 'assistant' as const), content: piece }), {
      minLength: 1,
      maxLength: 6,
    });
    assert(
      property(conversation, (messages) => {
        const { rendered, raw, dropped } = renderWith('polyglot-moe-18m', sampleOf(messages));
        expect(dropped).toEqual([]);
        expect(rendered).toEqual(raw);
      }),
    );
  });
});

describe('alignTokens()', () => {
  it('gives every token the channel of the text it stands for', () => {
    const rendered = renderWith('polyglot-moe-18m', fromReference('reasoning'));
    const ids = tokenizer.encode(rendered.text);
    const { channels, messageStarts } = alignTokens(
      tokenizer,
      ids,
      rendered.text,
      rendered.spans,
      rendered.messageStarts,
    );
    const texts = CHANNELS.map((_, index) => tokenizer.decode(ids.filter((__, at) => channels[at] === index)));
    expect(texts[CHANNELS.indexOf('reasoning')]).toBe('first thoughtsecond thought');
    expect(messageStarts.map((start) => tokenizer.decode(ids.slice(start, start + 1)))).toEqual(
      Array(4).fill('<|im_start|>'),
    );
  });

  it('loses no token, whatever the text', () => {
    assert(
      property(string({ unit: 'grapheme', minLength: 1 }), (text) => {
        const ids = tokenizer.encode(text);
        const half = Math.floor(text.length / 2);
        const spans = [
          { start: 0, end: half, channel: 'user' as const },
          { start: half, end: text.length, channel: 'assistant' as const },
        ];
        const { channels } = alignTokens(tokenizer, ids, text, spans, [0, half]);
        expect(channels).toHaveLength(ids.length);
        expect([...channels].every((channel) => channel === 1 || channel === 2)).toBe(true);
      }),
    );
  });
});

describe('loadChatTemplate()', () => {
  it('prefers the file, then named templates, and chooses tool_use for tools', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-named-'));
    const named = [
      { name: 'default', template: 'plain' },
      { name: 'tool_use', template: 'with tools' },
    ];
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ chat_template: named }));
    const template = await loadChatTemplate(folder);
    const messages: Message[] = [{ role: 'user', content: 'x' }];
    expect(render(sampleOf(messages), template, { specialTokens }).text).toBe('plain');
    expect(render(sampleOf(messages, [{ type: 'function' }]), template, { specialTokens }).text).toBe('with tools');
    expect(() => render(sampleOf(messages), template, { specialTokens, template: 'rag' })).toThrow(
      'wanted "rag", the model has "default", "tool_use"',
    );
    await mkdir(join(folder, 'additional_chat_templates'));
    await writeFile(join(folder, 'additional_chat_templates/rag.jinja'), 'documents');
    await writeFile(join(folder, 'chat_template.jinja'), 'file on {{ strftime_now("%d %B %Y") }}');
    const files = await loadChatTemplate(folder);
    expect(render(sampleOf(messages), files, { specialTokens }).text).toBe('file on 01 January 2025');
    expect(render(sampleOf(messages), files, { specialTokens, template: 'rag' }).text).toBe('documents');
  });

  it('has a plain one for mixes without a model', async () => {
    const rendered = render(fromReference('tools'), await loadChatTemplate(null), { specialTokens });
    expect(rendered.text).toMatch(
      /^<\|im_start\|>system\nTools:\n\{"type": "function".*"arguments": \{"city": "Θήβα"/su,
    );
    expect(rendered.dropped).toEqual([]);
  });

  it('gives null where there is none and says why one cannot be parsed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-none-'));
    expect(await loadChatTemplate(folder)).toBeNull();
    await writeFile(join(folder, 'chat_template.jinja'), '{% for %}');
    await expect(loadChatTemplate(folder)).rejects.toThrow('Cannot parse the chat template');
  });
});
