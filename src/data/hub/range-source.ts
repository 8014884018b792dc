import { InputError } from '../../errors.js';
import type { ByteSource } from '../byte-source.js';
import { resolveUrl } from './download.js';
import { refused } from './open-repository.js';
import type { Repository, RepositoryFile } from './repository.js';
import { causeOf, MAX_ATTEMPTS } from './request.js';

/** One request asks for no more than this. */
const MAX_RANGE_BYTES = 512 << 20;

/**
 * A file on the Hub, read by HTTP ranges. The address that the Hub redirects to (a storage server's, signed for some
 * minutes) is used until it is refused.
 */
export function openRanges(repository: Repository, file: RepositoryFile, signal?: AbortSignal): ByteSource {
  const name = `${repository.id}/${file.path}`;
  const origin = resolveUrl(repository, file.path);
  let address = origin;

  async function request(start: number, end: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const response = await repository.fetch(address, {
      headers: { 'accept-encoding': 'identity', range: `bytes=${start}-${end - 1}` },
      ...(signal === undefined ? {} : { signal }),
    });
    if (!response.ok) {
      if (address === origin) throw await refused(response, repository);
      address = origin;
      await response.body?.cancel();
      return null;
    }
    const wanted = `bytes ${start}-${end - 1}/${file.size}`;
    const got = response.headers.get('content-range');
    if (response.status !== 206 || got !== wanted) {
      await response.body?.cancel();
      throw new InputError(
        `Cannot read "${name}": wanted ${wanted}, the server answered ${response.status} ${got ?? ''}`,
      );
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length !== end - start) throw new Error(`wanted ${end - start} bytes, got ${bytes.length}`);
    if (response.url !== '') address = response.url;
    return bytes;
  }

  return {
    name,
    byteLength: file.size,
    slice: async (start, end) => {
      if (!(start >= 0 && start <= end && end <= file.size && end - start <= MAX_RANGE_BYTES)) {
        throw new InputError(`Cannot read "${name}": wanted bytes ${start} to ${end}, it has ${file.size}`);
      }
      if (start === end) return new Uint8Array(0);
      let problem: unknown = null;
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        try {
          const bytes = await request(start, end);
          if (bytes !== null) return bytes;
        } catch (error) {
          if (error instanceof InputError || signal?.aborted === true) throw error;
          problem = error;
          address = origin;
        }
      }
      throw new InputError(`Cannot read "${name}": ${causeOf(problem)}`, { cause: problem });
    },
    close: async () => {},
  };
}
