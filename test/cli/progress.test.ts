import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { duration, statusLine } from '../../src/cli/progress.js';

describe('statusLine()', () => {
  const stage = { name: 'quantize', total: 61, unit: 'layers', started: performance.now() - 1_800_000 };

  it('keeps the running error on a terminal of 80 columns: the bar gives way', () => {
    const line = statusLine(stage, 12, 'error 7.1 %', 79);
    expect(line).toMatch(
      /^quantize · (?:[█░]+ )?12\/61 layers · 0\.0067\/s · 2 h 2 min left · \d+ MiB · error 7\.1 %$/u,
    );
    expect(line.length).toBeLessThanOrEqual(79);
  });

  it('draws twenty columns of bar where there is room, and never more than the line has', () => {
    expect(statusLine(stage, 12, '', 200)).toContain(`· ${'█'.repeat(4)}${'░'.repeat(16)} 12/61 layers`);
    for (const width of [20, 40, 60, 79, 119])
      expect(statusLine(stage, 12, 'error 7.1 %', width).length).toBeLessThanOrEqual(width);
  });
});

describe('duration()', () => {
  it.each([
    [9.97, '10 s'],
    [59.7, '1 min 0 s'],
    [119.6, '2 min 0 s'],
    [7384, '2 h 3 min'],
  ])('says %d seconds as %s', (seconds, text) => expect(duration(seconds)).toBe(text));
});

describe('help', async () => {
  const program = await createProgram([]);

  it.each([program, ...program.commands].map((command) => [command.name(), command] as const))(
    'of %s prints no default that says nothing',
    (_, command) => expect(command.helpInformation()).not.toMatch(/default: (?:false|\[\])/u),
  );

  it('fits 80 columns', () => {
    program.configureOutput({ getOutHelpWidth: () => 80 });
    for (const line of program.helpInformation().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
