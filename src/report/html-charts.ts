import type { Saturation } from '../coverage/coverage.js';
import { count } from './text.js';

const WIDTH = 380;
const HEIGHT = 200;
const MARGIN = { left: 40, right: 12, top: 14, bottom: 34 } as const;

/** Cells with any token, and cells at the floor, over tokens. */
export function saturationChart({ points }: Saturation, cells: number): string {
  const last = Math.max(1, points.at(-1)?.tokens ?? 1);
  const x = (tokens: number): string =>
    (MARGIN.left + (tokens / last) * (WIDTH - MARGIN.left - MARGIN.right)).toFixed(1);
  const y = (reached: number): string =>
    (HEIGHT - MARGIN.bottom - (reached / Math.max(1, cells)) * (HEIGHT - MARGIN.top - MARGIN.bottom)).toFixed(1);
  const path = (value: (point: Saturation['points'][number]) => number): string =>
    [`M${x(0)} ${y(0)}`, ...points.map((point) => `L${x(point.tokens)} ${y(value(point))}`)].join('');
  const end = points.at(-1);
  return (
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="560" role="img" aria-label="Cells at the floor while tokens are added: ` +
    `${count(end?.atFloor ?? 0)} of ${count(cells)} after ${count(last)} tokens">` +
    gridLines(cells, y) +
    `<path d="${path(({ fed }) => fed)}" fill="none" stroke="var(--faint)" stroke-width="1.5" stroke-dasharray="4 3"/>` +
    `<path d="${path(({ atFloor }) => atFloor)}" fill="none" stroke="var(--accent)" stroke-width="2.5"/>` +
    `<text x="${x(0)}" y="${HEIGHT - 18}">0</text>` +
    `<text x="${x(last)}" y="${HEIGHT - 18}" text-anchor="end">${count(last)} tokens</text></svg>` +
    '<div class="legend keys"><span><i style="background:var(--accent)"></i>cells at the floor</span>' +
    '<span><i style="background:var(--faint)"></i>cells with any token (dashed)</span></div>'
  );
}

function gridLines(cells: number, y: (reached: number) => string): string {
  return [0, cells / 2, cells]
    .map(
      (value) =>
        `<path d="M${MARGIN.left} ${y(value)}H${WIDTH - MARGIN.right}" stroke="var(--line)"/>` +
        `<text x="${MARGIN.left - 5}" y="${Number(y(value)) + 3}" text-anchor="end">${count(value)}</text>`,
    )
    .join('');
}

const INTERVAL_WIDTH = 200;

/** Our divergence with its interval as a line and a disc; round-to-nearest's, where known, as a ring. */
export function intervalChart(
  kl: number,
  interval: readonly [number, number],
  nearest: number | null,
  most: number,
): string {
  const x = (value: number): string =>
    (6 + (value / Math.max(most, Number.EPSILON)) * (INTERVAL_WIDTH - 12)).toFixed(1);
  return (
    `<svg width="${INTERVAL_WIDTH}" height="18" viewBox="0 0 ${INTERVAL_WIDTH} 18" aria-hidden="true">` +
    `<path d="M6 9H${INTERVAL_WIDTH - 6}" stroke="var(--line)"/>` +
    `<path d="M${x(interval[0])} 9H${x(interval[1])}" stroke="var(--accent)" stroke-width="3"/>` +
    `<circle cx="${x(kl)}" cy="9" r="4" fill="var(--accent)"/>` +
    (nearest === null
      ? ''
      : `<circle cx="${x(nearest)}" cy="9" r="4" fill="none" stroke="var(--faint)" stroke-width="2"/>`) +
    '</svg>'
  );
}
