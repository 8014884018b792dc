import type { CellResult } from './report-data.js';
import { count, plural } from './text.js';

/** Cells of one layer, as far as they are named. */
interface NamedLayer {
  readonly layer: number;
  readonly experts: readonly number[];
}

/**
 * The experts that no token was routed to, by name, and what they were quantized with; null when there are none.
 *
 * @param most cells named; the rest are counted
 */
export function unroutedSentence(cells: readonly CellResult[], most = Infinity): string | null {
  const unrouted = cells.filter(({ tokens }) => tokens === 0);
  if (unrouted.length === 0) return null;
  const named = byLayer(unrouted.slice(0, most)).map(
    ({ layer, experts }) => `layer ${layer} ${experts.length === 1 ? 'expert' : 'experts'} ${experts.join(', ')}`,
  );
  const rest = unrouted.length - Math.min(most, unrouted.length);
  const more = rest === 0 ? '' : `; and ${count(rest)} more`;
  const isAlone = unrouted.every(({ shrinkageWeight }) => shrinkageWeight === 0);
  const how = isAlone
    ? 'by their weights alone, for want of statistics (their errors are those of weights)'
    : "with their layer's statistics";
  return (
    `No token was routed to ${plural(unrouted.length, 'expert')}: ${named.join('; ')}${more}. ` +
    `They are quantized in the format of the others, ${how}.`
  );
}

function byLayer(cells: readonly CellResult[]): readonly NamedLayer[] {
  const layers = new Map<number, number[]>();
  for (const { layer, expert } of cells) {
    const experts = layers.get(layer);
    if (experts === undefined) layers.set(layer, [expert]);
    else experts.push(expert);
  }
  return Array.from(layers, ([layer, experts]) => ({ layer, experts }));
}
