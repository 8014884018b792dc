import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '../../errors.js';

/** What a caller may set; everything else comes from the environment, by the names that Python's library reads. */
export interface HubOptions {
  readonly endpoint?: string | undefined;
  readonly token?: string | null | undefined;
  readonly cacheDirectory?: string | undefined;
  readonly offline?: boolean | undefined;
  readonly fetch?: typeof fetch | undefined;
  /** Milliseconds before the first retry; each further one waits twice as long. */
  readonly retryDelay?: number | undefined;
  /** A Parquet file beyond this is read by ranges when only some of its rows are wanted; else files are cached whole. */
  readonly rangedBytes?: number | undefined;
}

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | null;
  readonly cacheDirectory: string;
  readonly offline: boolean;
  readonly fetch: typeof fetch;
  readonly retryDelay: number;
  readonly rangedBytes: number;
}

const DEFAULT_ENDPOINT = 'https://huggingface.co';
const DEFAULT_RETRY_DELAY = 500;
const DEFAULT_RANGED_BYTES = 64 << 20;

/**
 * Settings from options and environment: HF_ENDPOINT, HF_TOKEN (else the file that `hf auth login` writes),
 * HF_HUB_CACHE or HF_HOME, HF_HUB_OFFLINE.
 */
export function hubSettings(options: HubOptions = {}, environment: NodeJS.ProcessEnv = process.env): HubSettings {
  const cache = environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const home = environment['HF_HOME'] ?? join(cache, 'huggingface');
  const endpoint = (options.endpoint ?? environment['HF_ENDPOINT'] ?? DEFAULT_ENDPOINT).replace(/\/+$/u, '');
  if (!URL.canParse(endpoint)) throw new InputError(`Cannot use the Hub at "${endpoint}": wanted a URL in HF_ENDPOINT`);
  return {
    endpoint,
    token: options.token === undefined ? tokenOf(environment, home) : options.token,
    cacheDirectory:
      options.cacheDirectory ??
      environment['HF_HUB_CACHE'] ??
      environment['HUGGINGFACE_HUB_CACHE'] ??
      join(home, 'hub'),
    offline: options.offline ?? isOn(environment['HF_HUB_OFFLINE']),
    fetch: options.fetch ?? fetch,
    retryDelay: options.retryDelay ?? DEFAULT_RETRY_DELAY,
    rangedBytes: options.rangedBytes ?? DEFAULT_RANGED_BYTES,
  };
}

function tokenOf(environment: NodeJS.ProcessEnv, home: string): string | null {
  const token = environment['HF_TOKEN'] ?? environment['HUGGING_FACE_HUB_TOKEN'];
  if (token !== undefined && token.trim() !== '') return token.trim();
  try {
    const saved = readFileSync(environment['HF_TOKEN_PATH'] ?? join(home, 'token'), 'utf8').trim();
    return saved === '' ? null : saved;
  } catch {
    return null;
  }
}

/** The values that Python's library takes for true. */
function isOn(value: string | undefined): boolean {
  return value !== undefined && ['1', 'ON', 'YES', 'TRUE'].includes(value.toUpperCase());
}
