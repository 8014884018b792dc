import { parseSpelled } from '../config.js';
import { isJsonObject, type JsonObject } from '../json-file.js';
import { matchesPattern, runtimeSpellings, targetSpellings } from '../module-patterns.js';
import type { PackedModule } from './packing.js';
import type { Finding } from './finding.js';

/** Keys of config.json that a run may change. */
const CHANGEABLE = new Set(['quantization_config', 'compression_config', 'dtype', 'torch_dtype']);

export interface Modules {
  readonly packed: ReadonlyMap<string, PackedModule>;
  /** Module paths of the Linears that keep their weights. */
  readonly unquantized: readonly string[];
}

/** Apart from quantization, the output's config says what the source's says. */
export function* verifyOtherSettings(outputText: string, modelText: string): Generator<Finding> {
  const output = parseSpelled(outputText, 'config.json');
  const model = parseSpelled(modelText, 'config.json');
  for (const key of new Set([...Object.keys(output), ...Object.keys(model)])) {
    if (!CHANGEABLE.has(key) && canonical(output[key]) !== canonical(model[key])) {
      yield {
        check: 'config',
        subject: key,
        message: `wanted ${canonical(model[key])}, got ${canonical(output[key])}`,
      };
    }
  }
}

/** The quantization settings describe exactly the modules that are packed. */
export function* verifySettings(settings: JsonObject, modules: Modules): Generator<Finding> {
  if (settings['quant_method'] === 'awq') yield* verifyAutoawq(settings, modules);
  else if (settings['quant_method'] === 'compressed-tensors') yield* verifyCompressedTensors(settings, modules);
  else yield { check: 'config', subject: 'quant_method', message: `got ${JSON.stringify(settings['quant_method'])}` };
}

function* verifyCompressedTensors(settings: JsonObject, { packed, unquantized }: Modules): Generator<Finding> {
  yield* wants(settings, 'quantization_status', 'compressed');
  yield* wants(settings, 'format', 'pack-quantized');
  const ignore = stringsOf(settings['ignore']);
  const ignored = (module: string): boolean => ignore.some((pattern) => matchesPattern(pattern, module));
  for (const module of unquantized) {
    for (const spelling of runtimeSpellings(module).filter((name) => !ignored(name))) {
      yield { check: 'ignore', subject: spelling, message: 'keeps its weight, but the ignore list does not name it' };
    }
  }
  const groups = isJsonObject(settings['config_groups']) ? Object.values(settings['config_groups']) : [];
  for (const [module, found] of packed) {
    for (const spelling of targetSpellings(module)) {
      if (ignored(spelling))
        yield { check: 'ignore', subject: spelling, message: 'is packed, but the ignore list names it' };
      else yield* verifyScheme(spelling, found, weightsOf(spelling, groups));
    }
  }
}

/** A name match beats the class match. */
function weightsOf(module: string, groups: readonly unknown[]): unknown {
  const targeted = groups.filter(isJsonObject).map((group) => ({ group, targets: stringsOf(group['targets']) }));
  const byName = targeted.find(({ targets }) =>
    targets.some((target) => target !== 'Linear' && matchesPattern(target, module)),
  );
  return (byName ?? targeted.find(({ targets }) => targets.includes('Linear')))?.group['weights'];
}

function* verifyScheme(
  module: string,
  { shape, bits, symmetric, groupSize }: PackedModule,
  weights: unknown,
): Generator<Finding> {
  if (!isJsonObject(weights)) {
    yield { check: 'config', subject: module, message: 'is packed, but no config group names it' };
    return;
  }
  const byChannel = weights['strategy'] === 'channel' && groupSize === shape[1];
  const grouping = byChannel ? { group_size: null } : { strategy: 'group', group_size: groupSize };
  const wanted = { num_bits: bits, symmetric, ...grouping };
  for (const [key, value] of Object.entries(wanted)) {
    if (weights[key] !== value) {
      const message = `its config group says ${key} ${JSON.stringify(weights[key])}, its tensors ${JSON.stringify(value)}`;
      yield { check: 'config', subject: module, message };
    }
  }
}

function* verifyAutoawq(settings: JsonObject, { packed, unquantized }: Modules): Generator<Finding> {
  yield* wants(settings, 'version', 'gemm');
  yield* wants(settings, 'bits', 4);
  yield* wants(settings, 'zero_point', true);
  const excluded = stringsOf(settings['modules_to_not_convert']);
  for (const module of unquantized.filter((name) => !excluded.some((part) => name.includes(part)))) {
    yield {
      check: 'ignore',
      subject: module,
      message: 'keeps its weight, but modules_to_not_convert does not name it',
    };
  }
  for (const [module, { shape, groupSize }] of packed) {
    if (excluded.some((part) => module.includes(part))) {
      yield { check: 'ignore', subject: module, message: 'is packed, but modules_to_not_convert names it' };
    }
    const group = settings['group_size'];
    if (groupSize !== group && !(group === -1 && groupSize === shape[1])) {
      yield {
        check: 'config',
        subject: module,
        message: `group_size ${JSON.stringify(group)}, its tensors ${groupSize}`,
      };
    }
  }
}

function* wants(settings: JsonObject, key: string, value: unknown): Generator<Finding> {
  if (settings[key] === value) return;
  yield {
    check: 'config',
    subject: key,
    message: `wanted ${JSON.stringify(value)}, got ${JSON.stringify(settings[key])}`,
  };
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** JSON with sorted keys, free of nested quantization settings. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (key !== '' && (key === 'quantization_config' || key === 'compression_config')) return undefined;
    if (!isJsonObject(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
