import type { Columns } from '../graph/moments.js';
import type { RowStoreDescriptor } from '../runtime/row-store.js';
import { release } from '../runtime/workers.js';
import type { DriftJobs } from './drift-jobs.js';
import { momentStride } from './gram-stride.js';
import { spans } from './layer-pass.js';
import type { QuantizeContext } from './quantize-context.js';
import type { Mean } from './search-edge.js';

/** Second moments of two streams over all tokens. */
export interface Moments {
  /** Of x̂. */
  readonly mean: Mean;
  /** Mean (x − x̂)x̂ᵀ. */
  readonly cross: Float32Array;
  /** Mean (h − ĥ)x̂ᵀ, where streams were given. */
  readonly owed: Float32Array | null;
}

export interface MomentsOf extends Pick<DriftJobs['moments']['job'], 'followed' | 'normedBy'> {
  readonly own: RowStoreDescriptor;
  readonly streams: { readonly own: RowStoreDescriptor; readonly followed: RowStoreDescriptor } | null;
}

export async function momentsOf(context: QuantizeContext, of: MomentsOf): Promise<Moments> {
  const sums = await sumMoments(context, of);
  return {
    mean: meanOfSums(context, sums),
    cross: mergedMean(sums, ({ cross }) => cross!),
    owed: of.streams === null ? null : mergedMean(sums, ({ owed }) => owed!),
  };
}

/** Of one stream's rows alone, behind a layer's input norm where that is named. */
export async function meanOf(
  context: QuantizeContext,
  rows: RowStoreDescriptor,
  normedBy: number | null,
): Promise<Mean> {
  return meanOfSums(context, await sumMoments(context, { own: null, followed: rows, normedBy, streams: null }));
}

type Part = DriftJobs['moments']['result'];

/** What the lanes summed up, over tokens or channels of their own. */
interface DealtSums {
  readonly by: 'tokens' | 'channels';
  readonly parts: readonly Part[];
  /** Tokens that were summed over. */
  readonly rows: number;
}

const LARGE_SUM_BYTES = 64 * 2 ** 20;

/** Whether lanes share the sums of so many channels. */
export function dealtByChannels(width: number): boolean {
  return width ** 2 * Float32Array.BYTES_PER_ELEMENT > LARGE_SUM_BYTES;
}

/**
 * Lanes take tokens each, which are then read once; or, where sums are large, channels each, so that no two lanes hold the
 * same: behind DeepSeek-V3's attention they are 2.6 GB.
 */
async function sumMoments(
  { lanes, sample }: QuantizeContext,
  { own, followed, normedBy, streams }: Omit<MomentsOf, 'own'> & { readonly own: RowStoreDescriptor | null },
): Promise<DealtSums> {
  const by = dealtByChannels(followed.width) ? 'channels' : 'tokens';
  const shares = spans(by === 'tokens' ? followed.rows : followed.width, lanes.count);
  const stride = momentStride(followed.rows, followed.width);
  const ofStreams = streams === null ? [] : spans(streams.own.width, lanes.count);
  const parts = await Promise.all(
    shares.map((share, lane) => {
      const [from, to] = by === 'tokens' ? share : [0, followed.rows];
      const channels = (width: number, part: Columns): Columns => (by === 'channels' ? part : [0, width]);
      return lanes.call(lane, 'moments', {
        from,
        to,
        stride,
        features: channels(followed.width, share),
        own,
        followed,
        normedBy,
        streams: streams === null ? null : { ...streams, channels: channels(streams.own.width, ofStreams[lane]!) },
        sample: by === 'tokens' || lane === 0 ? sample.tokens : new Int32Array(0),
      });
    }),
  );
  return { by, parts, rows: Math.ceil(followed.rows / stride) };
}

function meanOfSums(context: QuantizeContext, sums: DealtSums): Mean {
  return {
    gram: mergedMean(sums, ({ gram }) => gram),
    absolute: mergedMean(sums, ({ absolute }) => absolute),
    sample: joined(sums.parts.map(({ sample }) => sample)),
    sampledTokens: context.sample.tokens,
  };
}

/** The parts as one mean; their memory is given back as they are taken over. */
function mergedMean({ by, parts, rows }: DealtSums, pick: (part: Part) => Float32Array): Float32Array {
  const picked = parts.map(pick);
  const sum = by === 'tokens' ? addedUp(picked) : joined(picked);
  for (let i = 0; i < sum.length; i++) sum[i]! /= rows;
  return sum;
}

/** In the first one's place. */
function addedUp([total, ...others]: readonly Float32Array[]): Float32Array {
  for (const values of others) {
    for (let i = 0; i < values.length; i++) total![i]! += values[i]!;
    release([values]);
  }
  return total!;
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const values of parts) {
    whole.set(values, at);
    at += values.length;
    release([values]);
  }
  return whole;
}
