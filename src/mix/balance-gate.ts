import { createHash } from 'node:crypto';
import { isLoopedTokens } from './balance-loops.js';
import type { Sequence } from './sequence.js';

/** What a quality gate makes of a pool. */
export interface QualityGate {
  readonly accepts: (index: number) => boolean;
  /** Sequences refused because they loop, and because they are copies of an earlier one. */
  readonly looped: number;
  readonly copies: number;
}

/**
 * Looks at the token ids themselves, so that ready `input_ids` and sources that nobody cleaned pass the same gate: balance
 * alone prefers junk, as looped text reaches rare experts in bulk.
 */
export function createQualityGate(sequences: readonly Sequence[]): QualityGate {
  const refused = new Uint8Array(sequences.length);
  const seen = new Set<string>();
  let [looped, copies] = [0, 0];
  sequences.forEach(({ inputIds }, i) => {
    const key = createHash('sha256')
      .update(new Uint8Array(inputIds.buffer, inputIds.byteOffset, inputIds.byteLength))
      .digest('base64');
    if (seen.has(key)) copies++;
    else if (isLoopedTokens(inputIds)) looped++;
    else {
      seen.add(key);
      return;
    }
    refused[i] = 1;
  });
  return { accepts: (index) => refused[index] === 0, looped, copies };
}
