import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A tab of headless Chromium, spoken to by the DevTools protocol over a pipe: no port, no driver, no package. */
export interface Tab {
  /** Sends a command (`Page.navigate`, …) and resolves to its result. */
  send(method: string, params?: object): Promise<Record<string, unknown>>;
  /** Value of an expression in the page, awaited; it must be plain data. */
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<void>;
}

interface Answer {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** Starts `chromium` from the path with a profile of its own. */
export async function openTab(): Promise<Tab> {
  const profile = mkdtempSync(join(tmpdir(), 'evenkeel-chromium-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--hide-scrollbars'];
  const child = spawn('chromium', [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const [to, from] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
  const waiting = new Map<number, { resolve: (result: Record<string, unknown>) => void; reject: (e: Error) => void }>();
  child.on('error', (error) => waiting.forEach(({ reject }) => reject(error)));
  let [text, last] = ['', 0];
  from.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const messages = text.split('\0');
    text = messages.pop()!;
    for (const message of messages) {
      const { id, result, error } = JSON.parse(message) as Answer;
      if (id === undefined) continue;
      if (error === undefined) waiting.get(id)?.resolve(result ?? {});
      else waiting.get(id)?.reject(new Error(`chromium: ${error.message}`));
      waiting.delete(id);
    }
  });
  const sendTo = (sessionId: string | undefined, method: string, params: object) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      to.write(`${JSON.stringify({ id, sessionId, method, params })}\0`);
    });
  const { targetId } = await sendTo(undefined, 'Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await sendTo(undefined, 'Target.attachToTarget', { targetId, flatten: true });
  const send = (method: string, params: object = {}) => sendTo(sessionId as string, method, params);
  return {
    send,
    async evaluate(expression) {
      const { result, exceptionDetails } = await send('Runtime.evaluate', {
        expression,
        awaitPromise: true,
        returnByValue: true,
      });
      if (exceptionDetails !== undefined) throw new Error(`page: ${JSON.stringify(exceptionDetails)}`);
      return (result as { readonly value?: unknown }).value;
    },
    async close() {
      await sendTo(undefined, 'Browser.close', {});
      await ended;
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
