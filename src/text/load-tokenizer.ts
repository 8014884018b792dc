import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { parseJsonObject, readIfPresent } from './model-file.js';
import { tokenizerFromJson } from './tokenizer-json.js';
import type { EncodingName, Tokenizer } from './tokenizer.js';

/** A model folder, or one of tiktoken's encodings where there is no model. */
export type TokenizerSource = string | { readonly encoding: EncodingName };

/**
 * The tokenizer of a model folder (`tokenizer.json`, else `tiktoken.model`) or of a named encoding.
 *
 * @param plain runs `tokenizer.json` by the library alone, to compare with: the same ids, in ten times the time
 * @throws InputError when the folder has neither, or the file asks for something that cannot be reproduced exactly
 */
export async function loadTokenizer(source: TokenizerSource, plain = false): Promise<Tokenizer> {
  if (typeof source !== 'string') return (await tiktoken()).encodingTokenizer(source.encoding);
  const configText = await readIfPresent(join(source, 'tokenizer_config.json'));
  const config = configText === null ? {} : parseJsonObject(configText, join(source, 'tokenizer_config.json'));
  const path = join(source, 'tokenizer.json');
  const json = await readIfPresent(path);
  if (json !== null) return tokenizerFromJson(json, config, path, plain);
  const ranks = await readIfPresent(join(source, 'tiktoken.model'));
  if (ranks !== null) {
    const { tokenizerFromTiktoken } = await tiktoken();
    return tokenizerFromTiktoken(ranks, config, source, (name) => readFile(join(source, name), 'utf8'));
  }
  throw new InputError(`Cannot load a tokenizer from "${source}": it has neither tokenizer.json nor tiktoken.model`);
}

/** Loaded only where it is needed: most models bring a `tokenizer.json`. */
const tiktoken = (): Promise<typeof import('./tokenizer-tiktoken.js')> => import('./tokenizer-tiktoken.js');
