import { pythonMatch } from './python-regex.js';

/**
 * Targets and ignore lists of compressed-tensors: a plain string is an exact module path or class name, `re:…` is a
 * Python `re.match` (anchored at the start only). Runtimes rename prefixes (`model.layers` ↔
 * `language_model.model.layers`) and remap exact names but never regexes, so patterns here are free of prefixes,
 * anchored with `$`, and as short as what they must not match allows.
 */

/** Parts of a model that are left whole; runtimes spell their insides differently. */
const TOWER = /vision|visual|audio|projector|^mtp$/;

/**
 * Whether a module path is matched by an entry of an ignore or target list.
 *
 * @throws InputError for a regular expression that cannot be read
 */
export function matchesPattern(pattern: string, module: string): boolean {
  return pattern.startsWith('re:') ? pythonMatch(pattern.slice(3)).test(module) : pattern === module;
}

/**
 * The fewest patterns that match every `wanted` module path and none of `avoided`.
 *
 * Tries, per kind of module (paths that differ only in numbers), ever longer suffixes with any number in place of the
 * indices, then suffixes with the indices spelled out, and at last the exact path.
 */
export function modulePatterns(wanted: readonly string[], avoided: readonly string[]): string[] {
  const patterns = new Set<string>();
  const kinds = new Map<string, string[]>();
  for (const module of wanted) {
    const kind = abstracted(module);
    const members = kinds.get(kind);
    if (members === undefined) kinds.set(kind, [module]);
    else members.push(module);
  }
  const avoidedKinds = [...new Set(avoided.map(abstracted))];
  const avoidedPaths = new Set(avoided);
  for (const [kind, members] of kinds) {
    const tower = kind.split('.').find((part, i, parts) => i < parts.length - 1 && TOWER.test(part));
    if (tower !== undefined && !avoided.some((module) => module.split('.').includes(tower))) {
      patterns.add(`re:(.*\\.)?${escaped(tower)}\\..*`);
      continue;
    }
    const general = shortestSuffix(kind, avoidedKinds);
    if (general === undefined) for (const pattern of numbered(members, avoidedPaths)) patterns.add(pattern);
    else if (!kind.includes('.')) patterns.add(kind);
    else patterns.add(`re:.*${general.map(escaped).join('\\.')}$`.replaceAll('#', '\\d+'));
  }
  return [...patterns].sort();
}

/** Numbers of a path replaced, so that all layers and experts read alike. */
function abstracted(module: string): string {
  return module
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? '#' : part))
    .join('.');
}

/** The shortest run of trailing components, dot included before it, that no avoided path ends with. */
function shortestSuffix(path: string, avoided: readonly string[]): string[] | undefined {
  const parts = path.split('.');
  for (let length = 1; length <= parts.length; length++) {
    const suffix = parts.slice(-length);
    // A suffix that opens with an index says nothing by itself.
    if (suffix[0] === '#') continue;
    const text = suffix.join('.');
    if (!avoided.some((other) => other === text || other.endsWith(length === parts.length ? text : `.${text}`))) {
      return length === parts.length ? suffix : ['', ...suffix];
    }
  }
  return undefined;
}

/** Patterns for modules of one kind of which only some numbers are wanted: `re:.*layers\.(0|3)\.mlp\.down_proj$`. */
function numbered(members: readonly string[], avoided: ReadonlySet<string>): string[] {
  const numbers = new Map<string, { readonly module: string; readonly number: number }[]>();
  const exact: string[] = [];
  for (const module of members) {
    const [, container, number, rest] = /([^.]+)\.(\d+)\.(.*)$/.exec(module) ?? [];
    if (container === undefined || rest === undefined) {
      exact.push(module);
      continue;
    }
    const key = `${container}.?.${abstracted(rest)}`;
    const group = numbers.get(key) ?? [];
    group.push({ module, number: Number(number) });
    numbers.set(key, group);
  }
  const patterns: string[] = [];
  for (const [key, group] of numbers) {
    const sorted = [...new Set(group.map(({ number }) => number))].sort((a, b) => a - b);
    const choice = sorted.length === 1 ? `${sorted[0]}` : `(${sorted.join('|')})`;
    const parts = key.split('.').map((part) => (part === '?' ? choice : part === '#' ? '\\d+' : escaped(part)));
    const pattern = `re:.*${parts.join('\\.')}$`;
    if ([...avoided].some((module) => matchesPattern(pattern, module)))
      exact.push(...group.map(({ module }) => module));
    else patterns.push(pattern);
  }
  return [...patterns, ...exact];
}

function escaped(part: string): string {
  return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/**
 * A module path and the other names under which runtimes look the same module up: vLLM asks for an expert by the fake
 * names `<prefix>.experts.N.{gate,up,down}_proj` even where the checkpoint says w1/w3/w2, and for merged Linears by
 * the merged name; transformers calls Mixtral-style blocks `mlp`, and PhiMoE's router `router`.
 */
export function runtimeSpellings(module: string): string[] {
  const spellings = new Set([module]);
  const add = (pattern: RegExp, replacement: string): void => {
    for (const spelling of Array.from(spellings)) spellings.add(spelling.replace(pattern, replacement));
  };
  add(/(\.experts\.\d+\.)w1$/, '$1gate_proj');
  add(/(\.experts\.\d+\.)w3$/, '$1up_proj');
  add(/(\.experts\.\d+\.)w2$/, '$1down_proj');
  add(/\bblock_sparse_moe\.gate$/, 'block_sparse_moe.router');
  add(/\bblock_sparse_moe\./, 'mlp.');
  return [...spellings];
}

/** The merged Linear that vLLM and SGLang make of this one and its siblings, or null. */
export function mergedSpelling(module: string): string | null {
  const merged = module
    .replace(/\b[qkv]_proj$/, 'qkv_proj')
    .replace(/\b(gate|up)_proj$/, 'gate_up_proj')
    .replace(/\b(q_a_proj|kv_a_proj_with_mqa)$/, 'fused_qkv_a_proj')
    .replace(/\bin_proj_(qkv|z)$/, 'in_proj_qkvz')
    .replace(/\bin_proj_[ba]$/, 'in_proj_ba');
  return merged === module ? null : merged;
}

/**
 * A module's names as a target. SGLang, and vLLM before #49483, hold a merged Linear's own name and then its class against
 * the targets, and only after that the names of its parts: unless the merged name is there too, `Linear` takes it.
 */
export function targetSpellings(module: string): string[] {
  const merged = isRoutedExpert(module) ? null : mergedSpelling(module);
  return merged === null ? runtimeSpellings(module) : [...runtimeSpellings(module), merged];
}

/** Any projection of any routed expert, in every runtime's spelling. */
export const ROUTED_EXPERTS = 're:.*\\.experts\\.\\d+\\..*';

export function isRoutedExpert(module: string): boolean {
  return matchesPattern(ROUTED_EXPERTS, module);
}

/**
 * The unquantized modules with `lm_head` among them unless it is quantized: tied to the embedding it has no tensor of
 * its own, yet it is a Linear that transformers would look for packed weights of.
 */
export function withOutputHead(
  quantized: readonly { readonly module: string }[],
  unquantized: readonly string[],
): readonly string[] {
  const known = [...quantized.map(({ module }) => module), ...unquantized];
  return known.includes('lm_head') ? unquantized : ['lm_head', ...unquantized];
}
