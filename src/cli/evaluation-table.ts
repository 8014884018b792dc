import type { Evaluation } from '../evaluate/summary.js';

/** A line per language: KL in thousandths of a nat per token, perplexities, agreement; the baseline beside it if given. */
export function evaluationTable(evaluation: Evaluation, baseline: Evaluation | null): string {
  const names = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });
  const rows = Object.entries(evaluation.groups).sort(([, a], [, b]) => b.kl - a.kl);
  const header = [
    'language',
    'tokens',
    'KL ×10⁻³ [95 %]',
    ...(baseline === null ? [] : ['rounded']),
    'perplexity',
    'same top token',
  ];
  const line = (name: string, group: Evaluation['mean'], rounded: Evaluation['mean'] | undefined): string[] => [
    name,
    group.tokens.toLocaleString('en-US'),
    `${milli(group.kl)} [${milli(group.klCi95[0])}–${milli(group.klCi95[1])}]`,
    ...(baseline === null ? [] : [rounded === undefined ? '' : milli(rounded.kl)]),
    `${group.perplexity.toFixed(2)} → ${group.quantizedPerplexity.toFixed(2)}`,
    `${(100 * group.top1).toFixed(1)} %`,
  ];
  const body = rows.map(([language, group]) =>
    line(
      language === 'und' ? 'undetermined' : `${names.of(language) ?? language} (${language})`,
      group,
      baseline?.groups[language],
    ),
  );
  return columns([header, ...body, line('mean of languages', evaluation.mean, baseline?.mean)]);
}

function milli(kl: number): string {
  return (1000 * kl).toFixed(1);
}

/** Pads cells to columns, the first to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
