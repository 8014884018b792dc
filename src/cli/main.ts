#!/usr/bin/env -S node --single-threaded-gc
// Every core has a lane, so V8's helpers at collecting garbage only take from them.
import { createProgram } from './program.js';
import { exitWith, interruption } from './exit.js';

process.on('SIGINT', () => interruption.interrupt());
process.on('SIGTERM', () => interruption.interrupt());
// A reader that goes away (`evenkeel audit … | head`) ends the output, not the run.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});

try {
  const program = await createProgram(process.argv.slice(2));
  await program.parseAsync(process.argv);
  // Once all is written: left to itself, Node first gives hundreds of megabytes back one by one.
  process.stdout.write('', () => process.exit());
} catch (error) {
  exitWith(error);
}
