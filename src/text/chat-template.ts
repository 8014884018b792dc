import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { isRecord, parseJsonObject, readIfPresent, specialTokenText, type JsonRecord } from './model-file.js';
import { PLAIN_TEMPLATE, PLAIN_TEMPLATE_NAME } from './plain-template.js';
import { compileTemplate, type TemplateProgram } from './template-engine.js';
import { templateVocabulary, type TemplateVocabulary } from './template-messages.js';

/** A model's chat templates, one of them per name, ready to render. */
export interface ChatTemplate {
  /** SHA-256 over the names and sources of all of them. */
  readonly sha256: string;
  readonly templates: ReadonlyMap<string, NamedTemplate>;
  /** `bos_token`, `eos_token` and the like, as transformers passes them to the template. */
  readonly tokens: Readonly<Record<string, string>>;
}

export interface NamedTemplate {
  readonly name: string;
  readonly source: string;
  readonly program: TemplateProgram;
  readonly vocabulary: TemplateVocabulary;
}

const TOKEN_KEYS = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

/**
 * Reads the chat templates of a model folder, in transformers' order of precedence: `chat_template.jinja` and
 * `additional_chat_templates/*.jinja`, else `chat_template` in tokenizer_config.json (a string, or a list of
 * `{name, template}`), else `chat_template.json`.
 *
 * @param modelFolder null for a mix without a model: a plain template stands in
 * @param file a template to use instead of the model's own; the model's special tokens stay
 * @returns null when the model has none
 */
export async function loadChatTemplate(modelFolder: string | null, file?: string): Promise<ChatTemplate | null> {
  const configPath = join(modelFolder ?? '', 'tokenizer_config.json');
  const configText = modelFolder === null ? null : await readIfPresent(configPath);
  const config = configText === null ? {} : parseJsonObject(configText, configPath);
  const sources =
    file === undefined ? await modelSources(modelFolder, config) : new Map([['default', await readTemplate(file)]]);
  if (sources.size === 0) return null;
  const hash = createHash('sha256');
  const templates = new Map<string, NamedTemplate>();
  for (const [name, source] of sources) {
    hash.update(`${name}\0${source}\0`);
    const program = compileTemplate(source, `${file ?? modelFolder ?? 'built in'} (${name})`);
    templates.set(name, { name, source, program, vocabulary: templateVocabulary(source) });
  }
  const tokens: Record<string, string> = {};
  for (const key of TOKEN_KEYS) {
    const token = specialTokenText(config[key]);
    if (token !== null) tokens[key] = token;
  }
  return { sha256: hash.digest('hex'), templates, tokens };
}

async function readTemplate(file: string): Promise<string> {
  const source = await readIfPresent(file);
  if (source === null) throw new InputError(`Cannot read the chat template "${file}": there is no such file`);
  return source;
}

/** The template for a sample, as transformers chooses: `tool_use` where there are tools and it exists, else `default`. */
export function chooseTemplate(chat: ChatTemplate, hasTools: boolean, wanted: string | undefined): NamedTemplate {
  const only = chat.templates.size === 1 ? [...chat.templates.values()][0] : undefined;
  const chosen =
    wanted === undefined
      ? ((hasTools ? chat.templates.get('tool_use') : undefined) ?? chat.templates.get('default') ?? only)
      : chat.templates.get(wanted);
  if (chosen !== undefined) return chosen;
  const names = [...chat.templates.keys()].map((name) => `"${name}"`).join(', ');
  throw new InputError(`Cannot choose a chat template: wanted "${wanted ?? 'default'}", the model has ${names}`);
}

/** The arguments that none of the templates reads: mistyped, or meant for another model. */
export function unreadArguments({ templates }: ChatTemplate, keys: readonly string[]): string[] {
  const names = new Set([...templates.values()].flatMap(({ source }) => source.match(/[A-Za-z_]\w*/gu) ?? []));
  return keys.filter((key) => !names.has(key));
}

async function modelSources(folder: string | null, config: JsonRecord): Promise<Map<string, string>> {
  return folder === null ? new Map([[PLAIN_TEMPLATE_NAME, PLAIN_TEMPLATE]]) : templateSources(folder, config);
}

async function templateSources(folder: string, config: JsonRecord): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  const main = await readIfPresent(join(folder, 'chat_template.jinja'));
  if (main !== null) sources.set('default', main);
  const additional = join(folder, 'additional_chat_templates');
  for (const file of await listJinja(additional)) {
    const source = await readIfPresent(join(additional, file));
    if (source !== null) sources.set(file.slice(0, -'.jinja'.length), source);
  }
  if (sources.size > 0) return sources;
  for (const [name, source] of declared(config['chat_template'])) sources.set(name, source);
  if (sources.size > 0) return sources;
  const legacyPath = join(folder, 'chat_template.json');
  const legacy = await readIfPresent(legacyPath);
  return legacy === null ? sources : new Map(declared(parseJsonObject(legacy, legacyPath)['chat_template']));
}

function declared(value: unknown): [string, string][] {
  if (typeof value === 'string') return [['default', value]];
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown): [string, string][] =>
    isRecord(entry) && typeof entry['name'] === 'string' && typeof entry['template'] === 'string'
      ? [[entry['name'], entry['template']]]
      : [],
  );
}

async function listJinja(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.jinja')).sort();
  } catch {
    return [];
  }
}
