import type { CountEvent } from '../pipeline/routing-counts.js';
import type { Progress } from './progress.js';

/** Shows a pass over the model as a stage of its layers, and what of it earlier passes spare. */
export function showPass(progress: Progress, stage: string, event: CountEvent): void {
  if (event.kind === 'layer-started' && event.layer === 0) progress.stage(stage, event.layers, 'layers');
  if (event.kind === 'layer-finished') progress.update(event.layer + 1);
  if (event.kind === 'counting' && event.sequences < event.of) {
    const known = (event.of - event.sequences).toLocaleString('en-US');
    const all = event.of.toLocaleString('en-US');
    const rest = event.sequences === 0 ? 'no model pass' : `${event.tokens.toLocaleString('en-US')} tokens to run`;
    progress.note(`${stage}: the routing of ${known} of ${all} sequences is known from before, ${rest}`);
  }
}
