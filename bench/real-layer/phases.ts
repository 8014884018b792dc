import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { LANE_CHANNEL, type LaneMoment } from '../../src/runtime/workers.js';

export interface Phase {
  readonly cpuSeconds: number;
  readonly seconds: number;
}

/** Splits the process's time by what its lanes were busy with. */
export function watchPhases(): { stop(): ReadonlyMap<string, Phase> } {
  const phases = new Map<string, { cpuSeconds: number; seconds: number }>();
  const inFlight = new Map<string, number>();
  let cpu = process.cpuUsage();
  let clock = performance.now();
  const settle = (): void => {
    const { user, system } = process.cpuUsage(cpu);
    const now = performance.now();
    const name = inFlight.size === 0 ? '(between jobs)' : [...inFlight.keys()].sort().join(' + ');
    const phase = phases.get(name) ?? { cpuSeconds: 0, seconds: 0 };
    phase.cpuSeconds += (user + system) / 1e6;
    phase.seconds += (now - clock) / 1000;
    phases.set(name, phase);
    cpu = process.cpuUsage();
    clock = now;
  };
  const listen = (message: unknown): void => {
    const { kind, moment } = message as LaneMoment;
    settle();
    const count = (inFlight.get(kind) ?? 0) + (moment === 'called' ? 1 : -1);
    if (count === 0) inFlight.delete(kind);
    else inFlight.set(kind, count);
  };
  subscribe(LANE_CHANNEL, listen);
  return {
    stop() {
      settle();
      unsubscribe(LANE_CHANNEL, listen);
      return phases;
    },
  };
}
