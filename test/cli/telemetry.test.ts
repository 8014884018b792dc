import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { evenkeel, MODEL } from './run.js';

// onnxruntime 1.30 left a database of events in ~/.cache/Microsoft, and called home: nobody had been asked.
it('a command leaves no trace of onnxruntime in the home of its user', async () => {
  const home = mkdtempSync(join(tmpdir(), 'evenkeel-home-'));
  mkdirSync(join(home, 'cache'));
  // It takes itself back where it sees that a test runs; this one must not look like one.
  const seen = new Set(['CI', 'VITEST', 'NODE_ENV', 'GITHUB_ACTIONS', 'TF_BUILD', 'ORT_DISABLE_TELEMETRY']);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !seen.has(name)));
  const { code } = await evenkeel(
    ['--quiet', 'audit', 'builtin:languages', '--model', MODEL, '--sequence-length', '64', '--floor', '1'],
    { cwd: home, env: { ...env, HOME: home, XDG_CACHE_HOME: join(home, 'cache') } },
  );
  expect(code).toBe(0);
  const left = readdirSync(home, { recursive: true }).map(String);
  expect(left.filter((name) => /Microsoft|onnxruntime/i.test(name))).toEqual([]);
});
