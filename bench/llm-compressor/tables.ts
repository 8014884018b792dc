import type { Evaluation } from '../../src/evaluate/summary.js';

export interface Measured {
  readonly seconds: number;
  readonly peakMebibytes: number;
}

const OURS = { gptq: 'by default', nearest: 'rounding nearest' } as const;

/** Whole-process seconds and peak memory of both sides, and how they compare. */
export function speedTable(measured: ReadonlyMap<string, readonly Measured[]>, schemes: readonly string[]): string {
  const rows = schemes.flatMap((scheme) => {
    const theirs = medians(measured.get(`llm-compressor ${scheme}`)!);
    const ours = Object.entries(OURS).map(([rounding, label]) => {
      const own = medians(measured.get(`evenkeel ${rounding} ${scheme}`)!);
      const faster = `${(theirs.seconds / own.seconds).toFixed(1)} ×`;
      const leaner = (own.peakMebibytes / theirs.peakMebibytes).toFixed(2);
      return `| ${scheme} | evenkeel, ${label} | ${own.seconds.toFixed(1)} | ${own.peakMebibytes.toFixed(0)} | ${faster} | ${leaner} |`;
    });
    return [
      `| ${scheme} | llm-compressor AWQ | ${theirs.seconds.toFixed(1)} | ${theirs.peakMebibytes.toFixed(0)} | | |`,
      ...ours,
    ];
  });
  return ['| scheme | | seconds | peak MiB | faster | of its memory |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

/** KL in 10⁻³ nats per token: the mean over kinds of text, each counting once, and every kind. */
export function qualityTable(evaluations: ReadonlyMap<string, Evaluation>, schemes: readonly string[]): string {
  const contenders = ['round to nearest', 'llm-compressor', 'evenkeel gptq', 'evenkeel nearest'];
  const names = ['round to nearest', 'llm-compressor AWQ', 'evenkeel', 'evenkeel, rounding nearest'];
  const sections = schemes.map((scheme) => {
    const results = contenders.map((contender) => evaluations.get(`${contender} ${scheme}`)!);
    const [rounded, , ours] = results;
    const groups = Object.keys(ours!.groups);
    const row = (label: string, kls: readonly number[]): string =>
      `| ${label} | ${kls.map((kl) => (1000 * kl).toFixed(1)).join(' | ')} | ${(kls[2]! / kls[1]!).toFixed(2)} |`;
    const worse = groups.filter((group) => ours!.groups[group]!.kl > rounded!.groups[group]!.kl);
    return [
      `### ${scheme}`,
      '',
      `| | ${names.join(' | ')} | evenkeel / llm-compressor |`,
      `|---|${names.map(() => '---|').join('')}---|`,
      row(
        '**mean**',
        results.map(({ mean }) => mean.kl),
      ),
      ...groups.map((group) =>
        row(
          group,
          results.map((evaluation) => evaluation.groups[group]!.kl),
        ),
      ),
      '',
      worse.length === 0 ? 'No kind is worse than plain rounding.' : `Worse than plain rounding: ${worse.join(', ')}.`,
    ].join('\n');
  });
  return sections.join('\n\n');
}

function medians(runs: readonly Measured[]): Measured {
  return {
    seconds: median(runs.map(({ seconds }) => seconds)),
    peakMebibytes: median(runs.map(({ peakMebibytes }) => peakMebibytes)),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
