import { isRecord, specialTokenText, type JsonRecord } from './model-file.js';

/**
 * Names what a `tokenizer.json` asks for and `@huggingface/tokenizers` 0.2 does not reproduce (its README, and its source:
 * `core/preTokenizer/Split.ts`, `core/tokenizerModelImplementations/BPE.ts`). An empty list means that the ids are exact.
 */
export function unsupportedTokenizerFeatures(tokenizer: JsonRecord): string[] {
  const found: string[] = [];
  const removesSpaces = normalizerRemovesSpaces(tokenizer['normalizer']);
  for (const node of nodes(tokenizer['pre_tokenizer'])) {
    const behavior = typeof node['behavior'] === 'string' ? node['behavior'] : '';
    if (/^(mergedwith(previous|next)|contiguous)$/iu.test(behavior) && node['type'] === 'Split') {
      // Gemma 3 splits on " " with MergedWithPrevious after its normalizer has replaced every space: a no-op.
      const pattern = isRecord(node['pattern']) ? node['pattern']['String'] : undefined;
      if (!(pattern === ' ' && removesSpaces)) found.push(`pre_tokenizer Split with behavior "${behavior}"`);
    }
    if (node['type'] === 'Split' && node['invert'] === true && !/^removed$/iu.test(behavior)) {
      found.push(`pre_tokenizer Split with invert and behavior "${behavior}"`);
    }
  }
  for (const section of ['normalizer', 'pre_tokenizer'] as const) {
    for (const node of nodes(tokenizer[section])) {
      const pattern = isRecord(node['pattern']) ? node['pattern']['Regex'] : undefined;
      if (typeof pattern === 'string')
        found.push(...unsupportedRegex(pattern).map((what) => `${section} pattern with ${what}`));
    }
  }
  if (
    nodes(tokenizer['normalizer']).some(
      (node) => node['type'] === 'BertNormalizer' && node['handle_chinese_chars'] !== false,
    )
  ) {
    found.push('normalizer BertNormalizer, which would not part ideographs beyond U+FFFF');
  }
  found.push(...unsupportedModel(tokenizer['model']));
  const added = Array.isArray(tokenizer['added_tokens']) ? tokenizer['added_tokens'] : [];
  for (const token of added) {
    if (isRecord(token) && token['single_word'] === true)
      found.push(`added token "${specialTokenText(token) ?? ''}" with single_word`);
  }
  return [...new Set(found)];
}

function unsupportedModel(model: unknown): string[] {
  if (!isRecord(model)) return ['no model'];
  const found: string[] = [];
  if (model['type'] === 'BPE' || model['merges'] !== undefined) {
    if (typeof model['dropout'] === 'number' && model['dropout'] > 0) found.push('BPE dropout, which is random');
    if (typeof model['continuing_subword_prefix'] === 'string' && model['continuing_subword_prefix'] !== '') {
      found.push(`BPE continuing_subword_prefix "${model['continuing_subword_prefix']}"`);
    }
    if (model['fuse_unk'] === true && model['byte_fallback'] !== true && typeof model['unk_token'] === 'string') {
      found.push('BPE fuse_unk without byte_fallback');
    }
  }
  if (model['type'] === 'Unigram' || Array.isArray(model['vocab'])) {
    found.push('a Unigram model, whose equally likely segmentations it would choose among otherwise');
  }
  if (model['type'] === 'WordLevel') found.push('model of type WordLevel');
  return found;
}

function unsupportedRegex(pattern: string): string[] {
  const found: string[] = [];
  if (/(?<!\\)(?:\\\\)*\\G/u.test(pattern)) found.push('\\G');
  if (/\[[.=]/u.test(pattern)) found.push('a collating or equivalence class');
  if (/\(\?>/u.test(pattern)) found.push('an atomic group');
  return found;
}

function normalizerRemovesSpaces(normalizer: unknown): boolean {
  return nodes(normalizer).some(
    (node) =>
      node['type'] === 'Replace' &&
      isRecord(node['pattern']) &&
      node['pattern']['String'] === ' ' &&
      node['content'] !== ' ',
  );
}

/** A component and, for a Sequence, everything inside it. */
function nodes(component: unknown): JsonRecord[] {
  if (!isRecord(component)) return [];
  const inner = [component['normalizers'], component['pretokenizers']].flatMap((list) =>
    Array.isArray(list) ? list : [],
  );
  return [component, ...inner.flatMap(nodes)];
}
