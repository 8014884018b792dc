import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '../../errors.js';
import { messageOf } from '../row.js';
import type { HubSettings } from './settings.js';

/** Requests are repeated this many times in all. */
export const MAX_ATTEMPTS = 5;

/** The longest wait between two attempts, whatever the server asks for. */
const MAX_DELAY = 120_000;

/** A server that sends no headers for this long has dropped the request. */
const HEADERS_TIMEOUT = 60_000;

/** Too many requests, and errors of servers and of what stands before them; others would only repeat. */
const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504, 520, 522, 524]);

/**
 * `fetch` that signs requests to the Hub itself (and never those to where it redirects), repeats what may succeed on
 * another attempt, and waits as long as `Retry-After` says.
 *
 * @param signal ends requests that bring no signal of their own
 * @throws InputError when the Hub cannot be reached; an AbortSignal ends it at once
 */
export function createHubFetch(settings: HubSettings, signal?: AbortSignal): typeof fetch {
  const origin = new URL(settings.endpoint).origin;
  return async (input, given = {}) => {
    const init = signal === undefined || given.signal ? given : { ...given, signal };
    if (settings.offline) throw new InputError(`Cannot reach ${describe(input)}: HF_HUB_OFFLINE is set`);
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init.headers);
    if (settings.token !== null && url.origin === origin && !headers.has('authorization')) {
      headers.set('authorization', `Bearer ${settings.token}`);
    }
    for (let attempt = 1; ; attempt++) {
      const last = attempt === MAX_ATTEMPTS;
      let delay = backOff(attempt, settings.retryDelay);
      try {
        const response = await fetchHeaders(settings.fetch, url, { ...init, headers });
        if (last || !RETRIED.has(response.status)) return response;
        delay = retryAfter(response) ?? delay;
        await response.body?.cancel();
      } catch (error) {
        if (init.signal?.aborted === true) throw error;
        if (last) throw new InputError(`Cannot reach ${describe(input)}: ${causeOf(error)}`, { cause: error });
      }
      await sleep(Math.min(delay, MAX_DELAY), undefined, { signal: init.signal ?? undefined });
    }
  };
}

async function fetchHeaders(send: typeof fetch, url: URL, init: RequestInit): Promise<Response> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new Error(`no answer in ${HEADERS_TIMEOUT / 1000} s`));
  }, HEADERS_TIMEOUT);
  const signals = [controller.signal, ...(init.signal ? [init.signal] : [])];
  try {
    return await send(url, { ...init, signal: AbortSignal.any(signals) });
  } finally {
    clearTimeout(timer);
  }
}

/** Twice as long every time, and spread, so that many clients do not come back at once. */
export function backOff(attempt: number, base: number): number {
  return base * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
}

/** Milliseconds that a response asks to wait: seconds or a date. */
function retryAfter(response: Response): number | null {
  const value = response.headers.get('retry-after');
  if (value === null) return null;
  const seconds = Number(value);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.max(wait, 0) : null;
}

function describe(input: string | URL | Request): string {
  return `"${input instanceof Request ? input.url : input.toString()}"`;
}

/** `fetch failed` says nothing; its cause does. */
export function causeOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? messageOf(error.cause) : messageOf(error);
}
