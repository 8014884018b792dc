import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Tiktoken } from 'tiktoken';
import * as z from 'zod';
import { InputError } from '../errors.js';
import { isRecord, specialTokenText, type JsonRecord } from './model-file.js';
import type { EncodingName, Tokenizer } from './tokenizer.js';

/** The model code that ships with `tiktoken.model` numbers this many ids after the ranks as special, named or reserved. */
const RESERVED_SPECIAL_TOKENS = 256;

/**
 * The longest run of characters, all white space or none, handed to the pattern at once: model code for `tiktoken.model`
 * (Kimi, Qwen 1) cuts there, because the regular expression's stack overflows on longer runs. Cutting elsewhere would give
 * other ids.
 */
const LONGEST_RUN = 25_000;
const LONGEST_TEXT = 400_000;

const ENCODING_FILE = z.object({
  bpe_ranks: z.string(),
  special_tokens: z.record(z.string(), z.number()),
  pat_str: z.string(),
});

/** One of tiktoken's own encodings, from the ranks inside the package. */
export async function encodingTokenizer(encoding: EncodingName): Promise<Tokenizer> {
  const path = createRequire(import.meta.url).resolve(`tiktoken/encoders/${encoding}.json`);
  const text = await readFile(path, 'utf8');
  const file = ENCODING_FILE.parse(JSON.parse(text));
  const sha256 = createHash('sha256').update(text).digest('hex');
  return wrap(
    encoding,
    sha256,
    new Tiktoken(file.bpe_ranks, file.special_tokens, file.pat_str),
    file.special_tokens,
    [],
  );
}

/**
 * A tokenizer from `tiktoken.model` (lines of base64 token and rank), with the pattern that the model's own
 * `tokenization_*.py` declares and the special tokens of `added_tokens_decoder`.
 */
export async function tokenizerFromTiktoken(
  ranksText: string,
  config: JsonRecord,
  folder: string,
  read: (name: string) => Promise<string>,
): Promise<Tokenizer> {
  const ranks = parseRanks(ranksText, `${folder}/tiktoken.model`);
  const pattern = await findPattern(folder, read);
  const specials = specialTokens(config, ranks.size);
  const compact = `! 0 ${Array.from({ length: ranks.size }, (_, rank) => ranks.get(rank) ?? '').join(' ')}`;
  const sha256 = createHash('sha256')
    .update(ranksText)
    .update('\0')
    .update(pattern)
    .update('\0')
    .update(JSON.stringify(specials));
  const before = bosTokens(config, specials);
  return wrap('tiktoken.model', sha256.digest('hex'), new Tiktoken(compact, specials, pattern), specials, before);
}

function parseRanks(text: string, path: string): Map<number, string> {
  const ranks = new Map<number, string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const match = /^([A-Za-z0-9+/]+=*) (\d+)\r?$/u.exec(line);
    if (match === null) {
      throw new InputError('Cannot read the tokenizer: wanted a base64 token and its rank', {
        location: { file: path, line: index + 1 },
      });
    }
    ranks.set(Number(match[2]), match[1] ?? '');
  }
  for (let rank = 0; rank < ranks.size; rank++) {
    if (!ranks.has(rank))
      throw new InputError(`Cannot read the tokenizer "${path}": rank ${rank} of ${ranks.size} is missing`);
  }
  return ranks;
}

/** `pat_str` as the model's Python declares it: one raw string, or several joined with "|". The code is read, never run. */
async function findPattern(folder: string, read: (name: string) => Promise<string>): Promise<string> {
  const files = readdirSync(folder)
    .filter((name) => /^tokenization_.*\.py$/u.test(name))
    .sort();
  for (const name of files) {
    const source = await read(name);
    const start = /\bpat_str\s*=\s*/u.exec(source);
    if (start === null) continue;
    const rest = source.slice(start.index + start[0].length);
    const parts: string[] = [];
    const literal = /^(?:\s|["']\|["']\.join\(|[[(,]|#[^\n]*\n)*r("""|'''|"|')([\s\S]*?)\1/u;
    for (let at = 0, match = literal.exec(rest); match !== null; match = literal.exec(rest.slice(at))) {
      parts.push(match[2] ?? '');
      at += match[0].length;
    }
    if (parts.length > 0) return parts.join('|');
  }
  throw new InputError(`Cannot load "${folder}/tiktoken.model": no tokenization_*.py beside it declares pat_str`);
}

function specialTokens(config: JsonRecord, base: number): Record<string, number> {
  const decoder = isRecord(config['added_tokens_decoder']) ? config['added_tokens_decoder'] : {};
  const specials: Record<string, number> = {};
  for (let id = base; id < base + RESERVED_SPECIAL_TOKENS; id++) {
    specials[specialTokenText(decoder[String(id)]) ?? `<|reserved_token_${id}|>`] = id;
  }
  return specials;
}

function bosTokens(config: JsonRecord, specials: Record<string, number>): number[] {
  const bos = specialTokenText(config['bos_token']);
  const id = config['add_bos_token'] === true && bos !== null ? specials[bos] : undefined;
  return id === undefined ? [] : [id];
}

function wrap(
  kind: string,
  sha256: string,
  inner: Tiktoken,
  specials: Record<string, number>,
  before: readonly number[],
): Tokenizer {
  const special = new Map(Object.entries(specials));
  const texts = new Map([...special].map(([text, id]) => [id, text]));
  const ordinary = inner.token_byte_values().length;
  const lengths = new Map<number, number>();
  return {
    kind,
    sha256,
    baseVocabularySize: ordinary,
    vocabularySize: Math.max(ordinary, ...[...special.values()].map((id) => id + 1)),
    specialTokens: special,
    encode(text, { addSpecialTokens = false } = {}) {
      const pieces = [...cut(text)].map((piece) => inner.encode(piece, 'all', []));
      return Int32Array.from([...(addSpecialTokens ? [before] : []), ...pieces].flatMap((ids) => Array.from(ids)));
    },
    decode(ids) {
      return new TextDecoder().decode(Buffer.concat(Array.from(ids, (id) => bytesOf(id))));
    },
    normalize: (text) => text,
    surfaceBytes(id) {
      const known = lengths.get(id);
      if (known !== undefined) return known;
      const length = bytesOf(id).length;
      lengths.set(id, length);
      return length;
    },
  };

  function bytesOf(id: number): Uint8Array {
    const text = texts.get(id);
    return text === undefined ? inner.decode_single_token_bytes(id) : new TextEncoder().encode(text);
  }
}

/** Pieces of at most LONGEST_TEXT characters with no run of white space, or of anything else, over LONGEST_RUN. */
function* cut(text: string): Generator<string> {
  const characters = text.length > LONGEST_RUN ? Array.from(text) : null;
  if (characters === null) {
    yield text;
    return;
  }
  for (let block = 0; block < characters.length; block += LONGEST_TEXT) {
    const end = Math.min(block + LONGEST_TEXT, characters.length);
    let start = block;
    let run = 0;
    let wasSpace: boolean | null = null;
    for (let index = block; index < end; index++) {
      const isSpace = /^\s$/u.test(characters[index] ?? '');
      run = isSpace === wasSpace ? run + 1 : 1;
      wasSpace = isSpace;
      if (run > LONGEST_RUN) {
        yield characters.slice(start, index).join('');
        start = index;
        run = 1;
      }
    }
    yield characters.slice(start, end).join('');
  }
}
