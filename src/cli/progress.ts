import { writeSync } from 'node:fs';

export interface ProgressOptions {
  readonly quiet: boolean;
  readonly logFormat: 'text' | 'json';
}

/**
 * What a long command tells on stderr: one line that is redrawn on a terminal, plain lines of stages elsewhere, JSON
 * lines for pipelines, nothing when quiet.
 */
export interface Progress {
  /** Begins a stage of `total` units (null: unknown), replacing the one before. */
  stage(name: string, total?: number | null, unit?: string): void;
  /** So many units of the stage are done; `detail` is shown behind. */
  update(done: number, detail?: string): void;
  /** A line that stays. */
  note(message: string): void;
  /** Clears the line. */
  end(): void;
}

/** Redrawn at most this often: a terminal over a slow link must not slow the work. */
const REDRAW_MILLISECONDS = 100;

/** Columns of a stage's bar. */
const [SHORTEST_BAR, LONGEST_BAR] = [4, 20];

/** Where the bar goes, until its room is known: one column, as wide as the blank behind it. */
const BAR = '\u0000';

export function createProgress({ quiet, logFormat }: ProgressOptions): Progress {
  if (quiet) return { stage: ignore, update: ignore, note: ignore, end: ignore };
  if (logFormat === 'json') return jsonProgress();
  return process.stderr.isTTY ? terminalProgress() : lineProgress();
}

function ignore(): void {}

export interface Stage {
  readonly name: string;
  readonly total: number | null;
  readonly unit: string;
  readonly started: number;
}

function newStage(name: string, total: number | null, unit: string): Stage {
  return { name, total, unit, started: performance.now() };
}

function jsonProgress(): Progress {
  const emit = (record: object): void => {
    writeSync(
      2,
      `${JSON.stringify({ time: new Date().toISOString(), ...record, memory: process.memoryUsage.rss() })}\n`,
    );
  };
  let stage = newStage('', null, '');
  return {
    stage(name, total = null, unit = '') {
      stage = newStage(name, total, unit);
      emit({ event: 'stage', stage: name, total });
    },
    update: (done, detail) =>
      emit({
        event: 'progress',
        stage: stage.name,
        done,
        total: stage.total,
        unit: stage.unit,
        ...(detail === undefined ? {} : { detail }),
        secondsLeft: secondsLeft(stage, done),
      }),
    note: (message) => emit({ event: 'note', message }),
    end: ignore,
  };
}

function lineProgress(): Progress {
  return {
    stage: (name) => void process.stderr.write(`${name}\n`),
    update: ignore,
    note: (message) => void process.stderr.write(`${message}\n`),
    end: ignore,
  };
}

function terminalProgress(): Progress {
  let stage: Stage | null = null;
  let done = 0;
  let detail = '';
  let drawn = 0;
  const clear = (): void => void process.stderr.write('\r\u001b[2K');
  const draw = (): void => {
    if (stage === null) return;
    drawn = performance.now();
    const columns = process.stderr.columns ?? 80;
    clear();
    process.stderr.write(statusLine(stage, done, detail, columns - 1));
  };
  // The clock runs on while a layer is at work: work is in other threads, so this one has time.
  const timer = setInterval(draw, 1000);
  timer.unref();
  return {
    stage(name, total = null, unit = '') {
      if (stage !== null) clear();
      [stage, done, detail] = [newStage(name, total, unit), 0, ''];
      draw();
    },
    update(now, text = '') {
      [done, detail] = [now, text];
      if (performance.now() - drawn > REDRAW_MILLISECONDS) draw();
    },
    note(message) {
      clear();
      process.stderr.write(`${message}\n`);
      draw();
    },
    end() {
      clearInterval(timer);
      if (stage !== null) clear();
      stage = null;
    },
  };
}

/** The line in at most `width` columns: where it is too long the bar gives way first, as all else says more. */
export function statusLine(stage: Stage, done: number, detail: string, width: number): string {
  const elapsed = (performance.now() - stage.started) / 1000;
  const left = secondsLeft(stage, done);
  const parts = [
    stage.name,
    stage.total === null
      ? done > 0
        ? `${count(done)} ${stage.unit}`
        : ''
      : `${BAR}${count(done)}/${count(stage.total)} ${stage.unit}`,
    done > 0 && elapsed > 1 ? `${rate(done / elapsed)}/s` : '',
    left === null ? duration(elapsed) : `${duration(left)} left`,
    `${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`,
    detail,
  ];
  const line = parts.filter((part) => part !== '').join(' · ');
  if (stage.total === null) return line.slice(0, width);
  const room = Math.min(LONGEST_BAR, width - line.length);
  return line.replace(BAR, room < SHORTEST_BAR ? '' : `${bar(done / stage.total, room)} `).slice(0, width);
}

function secondsLeft({ total, started }: Stage, done: number): number | null {
  if (total === null || done === 0) return null;
  return (((performance.now() - started) / done) * (total - done)) / 1000;
}

function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, share) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function rate(value: number): string {
  return value >= 10 ? count(value) : value.toPrecision(2);
}

export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Shows a model's download as a stage of its own. */
export function downloadProgress(
  progress: Progress,
): (state: { readonly file: string; readonly bytes: number; readonly totalBytes: number }) => void {
  let started = false;
  return ({ file, bytes, totalBytes }) => {
    if (!started) progress.stage('download model', Math.round(totalBytes / 2 ** 20), 'MiB');
    started = true;
    progress.update(Math.round(bytes / 2 ** 20), file);
  };
}

/** A smaller file is there before anybody wonders. */
const SHOWN_MEBIBYTES = 16;

/** Progress of files that sources fetch on the way; `back` begins the stage anew that they interrupted. */
export function sourceDownloads(
  progress: Progress,
  back: () => void,
): (state: {
  readonly source: string;
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}) => void {
  let shown = '';
  let last = -1;
  return ({ source, file, bytes, totalBytes }) => {
    const [done, total] = [Math.floor(bytes / 2 ** 20), Math.ceil(totalBytes / 2 ** 20)];
    if (total < SHOWN_MEBIBYTES) return;
    if (file !== shown) {
      progress.stage(`download ${source}`, total, 'MiB');
      [shown, last] = [file, -1];
    }
    // A chunk is some kilobytes: a line for each would flood a log.
    if (done !== last) progress.update(done, file);
    last = done;
    if (bytes >= totalBytes) {
      shown = '';
      back();
    }
  };
}
