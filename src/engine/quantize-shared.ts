import { linearsByTap } from '../model/linears.js';
import type { LayerPlan, Linear, Tap } from '../model/plan.js';
import { addEnergy, noEnergy, type LanguageEnergy } from './language-sample.js';
import type { QuantizeContext } from './quantize-context.js';
import type { CalibrationJobs, LinearTarget } from './quantize-jobs.js';
import type { Mean } from './search-edge.js';
import { buffersOf } from '../runtime/workers.js';
import type { Smoothing } from './smoothing.js';

/** Taps of a mixer, and those of a layer with experts whose Linears are quantized beside them. */
export const MIXER_TAPS: ReadonlySet<Tap> = new Set([
  'mixer-input',
  'mixer-output',
  'latent-query',
  'latent-key-value',
]);
export const BESIDE_EXPERTS: ReadonlySet<Tap> = new Set(['feed-forward-input', 'shared-down']);
export const DENSE_TAPS: ReadonlySet<Tap> = new Set(['feed-forward-input', 'dense-down']);

export interface SharedOptions {
  /** Only these taps' Linears. */
  readonly taps?: ReadonlySet<Tap> | null;
  /** Return what the Linears compute with. */
  readonly effective?: boolean;
  /** What the Linears of a tap are quantized towards, where not to their stored weights; what is owed goes, Gram and all. */
  readonly towards?: ReadonlyMap<Tap, LinearTarget>;
}

/** Everything but the routed experts, tap by tap; taps go to lanes in turn. */
export async function quantizeShared(
  { lanes, targets, sample, put }: QuantizeContext,
  layer: LayerPlan,
  means: ReadonlyMap<Tap, Mean>,
  smoothing: Smoothing,
  { taps = null, effective = false, towards }: SharedOptions = {},
): Promise<CalibrationJobs['quantizeLinears']['result']> {
  const languageOf = new Map(Array.from(sample.tokens, (token, i) => [token, sample.languageOf[i]!] as const));
  const wanted = [...linearsByTap(layer)]
    .map(([tap, linears]) => ({ tap, linears: linears.filter(({ module }) => targets.quantized.has(module)) }))
    .filter(({ tap, linears }) => linears.length > 0 && (taps === null || taps.has(tap)));
  // A tap on its own would leave all lanes but one without work.
  const jobs = wanted
    .flatMap(({ tap, linears }) =>
      (wanted.length < lanes.count ? largestAlone(linears) : [linears]).map((own) => ({ tap, own })),
    )
    .map(({ tap, own }) => ({ tap, modules: own.map(({ module }) => module) }));
  const results = await Promise.all(
    jobs.map(({ tap, modules }, i) => {
      const { gram, sample: rows, sampledTokens } = means.get(tap)!;
      const target = towards?.get(tap) ?? { kind: 'stored' };
      const isOnly = target.kind === 'owed' && jobs.every((job, other) => other === i || job.tap !== tap);
      const job = {
        layer: layer.index,
        modules,
        gram,
        sampled: { rows, languageOf: Uint16Array.from(sampledTokens, (token) => languageOf.get(token)!) },
        languages: sample.languages.length,
        effective,
        towards: target,
        inputScales: smoothing.inputs.get(modules[0]!) ?? null,
        outputScales: Object.fromEntries(
          modules.flatMap((module) =>
            smoothing.outputs.has(module) ? [[module, smoothing.outputs.get(module)!]] : [],
          ),
        ),
      };
      const transfer = isOnly ? buffersOf([gram, target.cross, target.owed]) : [];
      return lanes.call(i % lanes.count, 'quantizeLinears', job, { transfer, take: put });
    }),
  );
  return { linears: results.flatMap(({ linears }) => linears), energy: sumEnergy(results, sample.languages.length) };
}

/** The largest Linear, and the others. */
function largestAlone(linears: readonly Linear[]): readonly (readonly Linear[])[] {
  const size = ({ inFeatures, outFeatures }: Linear): number => inFeatures * outFeatures;
  const largest = linears.reduce((best, linear) => (size(linear) > size(best) ? linear : best));
  const others = linears.filter((linear) => linear !== largest);
  return others.length === 0 ? [[largest]] : [[largest], others];
}

/** Adds what parts of a layer measured. */
export function sumEnergy(parts: readonly { readonly energy: LanguageEnergy }[], languages: number): LanguageEnergy {
  return parts.reduce((sum, { energy }) => addEnergy(sum, energy), noEnergy(languages));
}

export function relativeErrors(
  { signal, error }: LanguageEnergy,
  languages: readonly string[],
): Record<string, number> {
  return Object.fromEntries(
    languages.flatMap((language, i) => (signal[i]! > 0 ? [[language, Math.sqrt(error[i]! / signal[i]!)]] : [])),
  );
}
