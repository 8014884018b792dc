import { z } from 'zod';
import { interval } from './student.js';

const resultSchema = z.strictObject({
  name: z.string(),
  seed: z.number(),
  symmetric: z.boolean(),
  /** Calibration budget. */
  tokens: z.number(),
  /** Nats per token, the mean over languages. */
  kl: z.number(),
  /** Languages with more KL than plain rounding leaves, of how many; 0 of 0 for plain rounding itself. */
  worse: z.number(),
  languages: z.number(),
});

/** One variant, calibrated on one seed's half of the rows and compared on the other. */
export type Result = z.infer<typeof resultSchema>;

/** What the bench prints with `--seed`: one result a line. */
export function parseResults(lines: string): Result[] {
  return lines
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => resultSchema.parse(JSON.parse(line)));
}

/**
 * Markdown: the variants in the order of `results`, each with its mean over seeds and its difference to the default of its
 * scheme, seed by seed, so that what a seed's split gives to both cancels out. Parts of a run may repeat plain rounding.
 *
 * @param defaults name of the default variant, symmetric and asymmetric
 * @throws Error when the parts do not fit together: other budgets, other values for the same seed, or seeds missing
 */
export function qualityTable(
  results: readonly Result[],
  defaults: { readonly symmetric: string; readonly asymmetric: string },
): string {
  const variants = group(results);
  const seeds = [...new Set(results.map(({ seed }) => seed))].sort((a, b) => a - b);
  const rows = [...variants].map(([name, bySeed]) => {
    const runs = seeds.map((seed) => bySeed.get(seed) ?? missing(name, seed));
    const reference = runs[0]!.symmetric ? defaults.symmetric : defaults.asymmetric;
    const base = variants.get(reference);
    const against =
      base === undefined || name === reference
        ? ''
        : interval(
            runs.map(({ kl, seed }) => 1000 * (kl - (base.get(seed) ?? missing(reference, seed)).kl)),
            1,
          );
    const languages = sum(runs.map((run) => run.languages));
    const worse = languages === 0 ? '' : `${sum(runs.map((run) => run.worse))} of ${languages}`;
    const kl = interval(
      runs.map((run) => 1000 * run.kl),
      1,
    );
    return `| ${name} | ${kl} | ${against} | ${worse} |`;
  });
  const of = seeds.length === 1 ? 'one seed' : `mean of ${seeds.length} seeds`;
  return [
    `| variant | KL ×10⁻³ nats/token, ${of} | less the default | languages worse than rounding |`,
    '|---|--:|--:|--:|',
    ...rows,
  ].join('\n');
}

/** Results by variant and seed. */
function group(results: readonly Result[]): Map<string, Map<number, Result>> {
  const variants = new Map<string, Map<number, Result>>();
  for (const result of results) {
    const { name, seed, tokens, kl } = result;
    if (tokens !== results[0]!.tokens)
      throw new Error(`merge results: ${name}, seed ${seed} has ${tokens} tokens, others ${results[0]!.tokens}`);
    const bySeed = variants.get(name) ?? new Map<number, Result>();
    const before = bySeed.get(seed);
    if (before !== undefined && before.kl !== kl)
      throw new Error(`merge results: ${name}, seed ${seed} has a KL of ${before.kl} and of ${kl}`);
    variants.set(name, bySeed.set(seed, result));
  }
  return variants;
}

function missing(name: string, seed: number): never {
  throw new Error(`merge results: ${name} has no seed ${seed}`);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
