/** What becomes of a sample longer than a sequence. */
export const OVERFLOW_RULES = ['window', 'truncate', 'drop'] as const;
export type OverflowRule = (typeof OVERFLOW_RULES)[number];

/** A stretch of a sample's tokens, `[start, end)`. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

export interface WindowOptions {
  /** Most tokens in a sequence. */
  readonly sequenceLength: number;
  readonly overflow: OverflowRule;
  /** Tokens that every window but the first needs room for: a repeated beginning-of-sequence token. */
  readonly prefix?: number;
}

/** A window gives up at most this part of its length to let the next one start with a message. */
const LEAST_FILL = 0.5;

/**
 * Cuts `length` tokens into sequences. With `window`, windows lie end to end, so every token is fed exactly once; each
 * starts at a message where one begins in the later half of the window before it, else where that one is full.
 * `truncate` keeps the beginning, `drop` nothing of a sample that is too long.
 *
 * @param messageStarts token positions where messages begin, rising
 */
export function cutWindows(length: number, messageStarts: readonly number[], options: WindowOptions): Window[] {
  const { sequenceLength, overflow, prefix = 0 } = options;
  if (length === 0) return [];
  if (length <= sequenceLength) return [{ start: 0, end: length }];
  if (overflow === 'drop') return [];
  if (overflow === 'truncate') return [{ start: 0, end: sequenceLength }];
  const windows: Window[] = [];
  for (let start = 0; start < length;) {
    const room = sequenceLength - (start === 0 ? 0 : prefix);
    const full = Math.min(start + room, length);
    const earliest = start + Math.ceil(room * LEAST_FILL);
    const message = full === length ? undefined : messageStarts.findLast((at) => at >= earliest && at <= full);
    const end = message ?? full;
    windows.push({ start, end });
    start = end;
  }
  return windows;
}

/** Tokens that each rule would lose of a sample, whichever rule is in force. */
export function overflowCost(length: number, sequenceLength: number): Record<OverflowRule, number> {
  const over = length > sequenceLength;
  return { window: 0, truncate: over ? length - sequenceLength : 0, drop: over ? length : 0 };
}
