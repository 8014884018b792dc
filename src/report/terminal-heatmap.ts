import type { Coverage } from '../coverage/coverage.js';
import { count } from './text.js';

const BLOCKS = '▁▂▃▄▅▆▇█';
const EMPTY = '0';
const UNDER = '!';
/** More lines than this push the verdict off a screen. */
const MOST_LINES = 48;

export interface CellMark {
  readonly mark: string;
  readonly kind: 'empty' | 'under' | 'fed';
}

export interface TerminalHeatmap {
  /** One per layer, or per few layers where there are many. */
  readonly lines: readonly { readonly label: string; readonly marks: readonly CellMark[] }[];
  readonly legend: string;
}

/**
 * Layers × experts in one character each: `0` empty, `!` under the floor, and from the floor up eight blocks on a log
 * scale. Where there is no room for all, a mark stands for the least-fed cell of several.
 */
export function terminalHeatmap({ layers, floor, summary }: Coverage, width: number): TerminalHeatmap {
  const experts = Math.max(1, ...layers.map((layer) => layer.experts));
  const labelWidth = `layer ${layers.at(-1)?.layer ?? 0}`.length + (layers.length > MOST_LINES ? 4 : 0);
  const columns = Math.max(8, width - labelWidth - 2);
  const perMark = Math.ceil(experts / columns);
  const perLine = Math.ceil(layers.length / MOST_LINES);
  const low = Math.max(1, floor, summary.min);
  const lines = Array.from({ length: Math.ceil(layers.length / perLine) }, (_, i) => {
    const group = layers.slice(i * perLine, (i + 1) * perLine);
    const [first, last] = [group[0]!.layer, group[group.length - 1]!.layer];
    const label = `layer ${first === last ? first : `${first}–${last}`}`.padEnd(labelWidth);
    const marks = Array.from({ length: Math.ceil(experts / perMark) }, (_mark, m) => {
      const values = group.flatMap(({ routed }) => routed.slice(m * perMark, (m + 1) * perMark));
      return markOf(Math.min(...values), floor, low, summary.max);
    });
    return { label, marks };
  });
  const least = perMark * perLine === 1 ? '' : ` (each mark: the least of ${count(perMark * perLine)} cells)`;
  const legend = `${EMPTY} none   ${UNDER} under ${count(floor)}   ▁ ${count(low)} … █ ${count(summary.max)} routed tokens${least}`;
  return { lines, legend };
}

function markOf(routed: number, floor: number, low: number, max: number): CellMark {
  if (routed === 0 && floor > 0) return { mark: EMPTY, kind: 'empty' };
  if (routed < floor) return { mark: UNDER, kind: 'under' };
  return { mark: blockOf(logPart(routed, low, max)), kind: 'fed' };
}

function logPart(value: number, low: number, high: number): number {
  return high <= low ? 1 : Math.log(Math.max(value, low) / low) / Math.log(high / low);
}

function blockOf(part: number): string {
  return BLOCKS[Math.min(BLOCKS.length - 1, Math.floor(part * BLOCKS.length))]!;
}

/** Values 0…1 as a line of blocks. */
export function sparkline(parts: readonly number[]): string {
  return parts.map(blockOf).join('');
}
