import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSequences } from '../../src/cli/samples.js';
import type { Coverage } from '../../src/coverage/coverage.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { auditSequences } from '../../src/pipeline/audit.js';
import { auditPrefixes, type PrefixAuditEvent } from '../../src/pipeline/audit-prefix.js';

const MODEL = join(import.meta.dirname, '../models/polyglot-moe-18m');
let cache = '';
let sequences: readonly Sequence[] = [];
let exact: Coverage;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'evenkeel-prefix-'));
  sequences = (await readSequences('builtin:multilingual-dialogues', MODEL, 512)).sequences.slice(0, 200);
  const run = auditSequences({ model: MODEL, sequences, floor: 64 });
  for (;;) {
    const next = await run.next();
    if (next.done !== true) continue;
    exact = next.value.coverage;
    break;
  }
});
afterAll(() => rm(cache, { recursive: true }));

async function audit(options: { prefix: number; stopEarly: boolean; floor: number; sequences?: readonly Sequence[] }) {
  const run = auditPrefixes({ model: MODEL, sequences, cache, ...options });
  const events: PrefixAuditEvent[] = [];
  for (;;) {
    const next = await run.next();
    if (next.done === true) return { coverage: next.value, events };
    events.push(next.value);
  }
}

describe('auditPrefixes()', () => {
  it('its intervals hold what the whole pass counts', async () => {
    const { coverage } = await audit({ prefix: 48, stopEarly: false, floor: 64 });
    const { low, high, tokensRun } = coverage.estimate!;
    const truth = exact.layers.flatMap(({ routed }) => routed);
    const held = truth.filter((routed, cell) => low.flat()[cell]! <= routed && routed <= high.flat()[cell]!).length;
    expect(held / truth.length).toBeGreaterThan(0.9);
    expect(tokensRun).toBeLessThan(exact.tokens * 0.6);
  });

  it('stops as soon as no cell is open, without a wrong verdict', async () => {
    const { coverage, events } = await audit({ prefix: 8, stopEarly: true, floor: 64 });
    expect(coverage.estimate?.open).toBe(0);
    expect(coverage.verdict).toBe('pass');
    expect(exact.verdict).toBe('pass');
    const steps = events.flatMap((event) => (event.kind === 'estimated' ? [event.prefix] : []));
    expect(steps).toEqual(steps.map((_, i) => 8 * 2 ** i));
  });

  it('runs the whole, and is exact, where doubling goes on for too long', async () => {
    const floor = exact.summary.min + 1;
    const { coverage, events } = await audit({ prefix: 32, stopEarly: true, floor });
    expect(events).toContainEqual({ kind: 'whole', reason: 'cheaper' });
    expect(coverage.estimate).toBeUndefined();
    expect(coverage.layers).toEqual(exact.layers);
  });

  it('is exact at once where the pilot is all there is', async () => {
    const few = sequences.slice(0, 20);
    const { coverage, events } = await audit({ prefix: 8, stopEarly: false, floor: 64, sequences: few });
    expect(events[0]).toEqual({ kind: 'whole', reason: 'cheaper' });
    expect(coverage.estimate).toBeUndefined();
  });
});
