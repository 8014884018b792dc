import type { z } from 'zod';
import { floorName } from '../coverage/floors.js';
import { InputError } from '../errors.js';
import { canonicalLanguage } from '../text/language-tag.js';
import type { BalanceRecipe, LayerWeight, MixRecipe, QuotaRecipe } from './recipe.js';
import type { balanceSchema } from './schema.js';
import type { YamlDocument } from './yaml-document.js';

type Raw = z.output<typeof balanceSchema>;

/** `balance` as written to `balance` as used. @throws InputError where names mean nothing or settings contradict each other */
export function resolveBalance(raw: Raw, mix: MixRecipe, document: YamlDocument): BalanceRecipe {
  return {
    floor: raw.floor,
    floors: Object.fromEntries(
      Object.entries(raw.floors).map(([name, least]) => [
        floorName(name, document.locate(['balance', 'floors', name], 'key')),
        least,
      ]),
    ),
    pool: raw.pool,
    multiple: raw.multiple,
    layerWeights: Object.entries(raw.layer_weights).map(([range, weight]) => layerWeight(range, weight, document)),
    languages: resolveQuotas(raw.languages, 'languages', document, (name) => language(name, document)),
    categories: resolveQuotas(raw.categories, 'categories', document, (name) => name),
    mustInclude: new Map(
      Object.entries(raw.must_include).map(([source, ids]) => [
        knownSource(source, mix, document),
        new Set(ids.map(String)),
      ]),
    ),
    qualityGate: raw.quality_gate,
    prefix: raw.prefix,
  };
}

function layerWeight(range: string, weight: number, document: YamlDocument): LayerWeight {
  const [from = 0, to = from] = range.split('-').map(Number);
  if (to < from) {
    throw new InputError(`Cannot use layers "${range}" in "balance.layer_weights": wanted a rising range`, {
      location: document.locate(['balance', 'layer_weights', range], 'key'),
    });
  }
  return { from, to, weight };
}

function resolveQuotas(
  raw: Raw['languages'],
  key: 'languages' | 'categories',
  document: YamlDocument,
  resolve: (name: string) => string,
): Record<string, QuotaRecipe> {
  return Object.fromEntries(
    Object.entries(raw).map(([name, { least, most }]) => {
      if (least !== undefined && most !== undefined && least > most) {
        throw new InputError(`Cannot have at least ${least} and at most ${most} tokens of "${name}"`, {
          location: document.locate(['balance', key, name]),
        });
      }
      return [resolve(name), { ...(least === undefined ? {} : { least }), ...(most === undefined ? {} : { most }) }];
    }),
  );
}

function language(name: string, document: YamlDocument): string {
  const tag = canonicalLanguage(name);
  if (tag !== 'und' || name === 'und') return tag;
  throw new InputError(`Cannot use language "${name}": wanted a BCP 47 tag, an ISO 639-3 code or an English name`, {
    location: document.locate(['balance', 'languages', name], 'key'),
  });
}

function knownSource(name: string, { sources }: MixRecipe, document: YamlDocument): string {
  if (sources.some((source) => source.name === name)) return name;
  throw new InputError(
    `Cannot include rows of "${name}": wanted a source of the mix (${sources.map((source) => source.name).join(', ')})`,
    { location: document.locate(['balance', 'must_include', name], 'key') },
  );
}
