import type { Estimate } from '../pipeline/estimate.js';
import { gibibytes } from '../pipeline/estimate.js';

/** An estimate as `--dry-run` prints it. */
export function estimateText(estimate: Estimate): string {
  const { layers, tokens, lanes, quantizedLinears, keptLinears, free, probeSeconds, shortages } = estimate;
  const rows: readonly (readonly [string, string])[] = [
    ['layers', `${layers}`],
    ['Linears', `${quantizedLinears} quantized, ${keptLinears} kept`],
    ['weights', `${gibibytes(estimate.sourceBytes)} become ${gibibytes(estimate.outputBytes)}`],
    ['calibration', `${tokens} tokens on ${lanes} lanes`],
    ['time', `about ${duration(estimate.seconds)}, besides building the mix and evaluating`],
    ['peak memory', `about ${gibibytes(estimate.peakMemoryBytes)}; ${gibibytes(free.memoryBytes)} are free`],
    ['disk', `${gibibytes(estimate.diskBytes)}; ${gibibytes(free.diskBytes)} are free`],
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(14)}${value}`);
  const verdict =
    shortages.length === 0
      ? `This machine can do it (probed for ${probeSeconds.toFixed(1)} s).`
      : `It does not fit:\n${shortages.map((shortage) => `  ${shortage}`).join('\n')}`;
  return `${lines.join('\n')}\n\n${verdict}\n`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
