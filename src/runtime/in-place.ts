import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { SENTINEL } from '../graph/sentinel.js';

/** How onnxruntime-node refuses a sequence, and what the call that it ends must not be confused with. */
const REFUSED_SEQUENCE = /Non tensor type is temporarily not supported/;

/**
 * Runs a session whose outputs all go into arrays of the caller's, without copies of them; see `SENTINEL`, which the
 * session's graph must have as its first output.
 */
export async function runInPlace(
  session: InferenceSession,
  feeds: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
): Promise<void> {
  try {
    await session.run(feeds, { [SENTINEL]: null, ...outputs });
  } catch (error) {
    if (!(error instanceof Error) || !REFUSED_SEQUENCE.test(error.message)) throw error;
  }
}
