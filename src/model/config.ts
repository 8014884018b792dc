import { InputError } from '../errors.js';

/** A family's settings out of config.json, read with errors that name the key. */
export interface ModelConfig {
  readonly architecture: string;
  readonly modelType: string;
  /** Prefix of the decoder's tensors: empty, or e.g. `language_model.` for a multimodal wrapper. */
  readonly multimodal: boolean;
  has(key: string): boolean;
  number(key: string, fallback?: number): number;
  /** A number, or one per layer. */
  numberAt(key: string, layer: number): number;
  optionalNumber(key: string): number | null;
  boolean(key: string, fallback: boolean): boolean;
  string(key: string, fallback: string): string;
  strings(key: string): readonly string[] | null;
  numbers(key: string): readonly number[] | null;
  object(key: string): Readonly<Record<string, unknown>> | null;
}

/**
 * Reads config.json in either dialect; a multimodal config is read through its `text_config`, with the outer
 * architecture's name.
 *
 * @param defaults values of the family's configuration class for keys that config.json leaves out
 * @throws InputError when no architecture is named
 */
export function parseModelConfig(
  json: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>> = {},
): ModelConfig {
  const inner = json['text_config'];
  const given = isRecord(inner) ? inner : json;
  const text: Readonly<Record<string, unknown>> = { ...defaults, ...given };
  const architectures = json['architectures'] ?? text['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  if (typeof architecture !== 'string') {
    throw new InputError('read config.json: wanted "architectures" with one name, got none');
  }
  const wrong = (key: string, wanted: string): InputError =>
    new InputError(`read config.json: wanted "${key}" as ${wanted}, got ${JSON.stringify(text[key])}`);
  const isPresent = (key: string): boolean => text[key] !== undefined && text[key] !== null;
  const listOf = <T>(key: string, wanted: string, is: (value: unknown) => value is T): readonly T[] | null => {
    const value = text[key];
    if (!isPresent(key)) return null;
    if (!Array.isArray(value) || !value.every(is)) throw wrong(key, wanted);
    return value;
  };
  const config: ModelConfig = {
    architecture,
    modelType: typeof text['model_type'] === 'string' ? text['model_type'] : '',
    multimodal: given !== json,
    has: isPresent,
    number(key, fallback) {
      const value = config.optionalNumber(key) ?? fallback;
      if (value === undefined) throw wrong(key, 'a number');
      return value;
    },
    numberAt(key, layer) {
      if (!Array.isArray(text[key])) return config.number(key);
      const value = config.numbers(key)?.[layer];
      if (value === undefined) throw wrong(key, `a number for layer ${layer}`);
      return value;
    },
    optionalNumber(key) {
      const value = text[key];
      if (!isPresent(key)) return null;
      if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(key, 'a number');
      return value;
    },
    boolean(key, fallback) {
      const value = text[key];
      if (!isPresent(key)) return fallback;
      if (typeof value !== 'boolean') throw wrong(key, 'true or false');
      return value;
    },
    string(key, fallback) {
      const value = text[key];
      if (!isPresent(key)) return fallback;
      if (typeof value !== 'string') throw wrong(key, 'a string');
      return value;
    },
    strings: (key) => listOf(key, 'a list of strings', (value): value is string => typeof value === 'string'),
    numbers: (key) => listOf(key, 'a list of numbers', (value): value is number => typeof value === 'number'),
    object: (key) => (isRecord(text[key]) ? text[key] : null),
  };
  return config;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
