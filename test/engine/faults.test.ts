import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { openSafetensors } from '../../src/checkpoint/open.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { memoryEstimate } from '../../src/engine/memory.js';
import { SPILL_FOLDER } from '../../src/engine/spill.js';
import { planModel } from '../../src/model/registry.js';
import { chooseTargets } from '../../src/awq/targets.js';
import {
  childCommand,
  digest,
  finishedLayers,
  looksFinished,
  quantizeInProcess,
  resumedLayers,
} from './quantize-process.js';

const MODEL = fileURLToPath(new URL('../conformance/qwen3_moe', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-faults-'));
const TIMEOUT = 120_000;

/** A copy of the model that a test may damage. */
function copiedModel(name: string): string {
  const copy = join(folder, `model-${name}`);
  cpSync(MODEL, copy, { recursive: true });
  return copy;
}

function output(name: string): string {
  return join(folder, name);
}

describe('a run that is disturbed', { timeout: TIMEOUT }, () => {
  let undisturbed = '';
  let seconds = 0;
  beforeAll(async () => {
    const run = await quantizeInProcess({ model: MODEL, output: output('undisturbed') });
    expect(run.lines.at(-1)).toBe('finished');
    expect(readdirSync(output('undisturbed')).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
    ]);
    undisturbed = digest(output('undisturbed'));
    ({ seconds } = run);
  }, TIMEOUT);

  it.each([0.35, 0.6, 0.85])('killed at %f of its time, gives the same bytes when resumed', async (share) => {
    const job = { model: MODEL, output: output(`killed-${share}`) };
    const killed = await quantizeInProcess(job, undefined, share * seconds);
    // config.json alone makes a checkpoint look finished; the process may be killed a moment later, before it says so.
    if (looksFinished(job.output)) {
      expect(digest(job.output)).toBe(undisturbed);
      return;
    }
    const resumed = await quantizeInProcess({ ...job, existing: 'resume' });
    expect(resumed.lines.at(-1)).toBe('finished');
    expect(resumedLayers(resumed)).toBeGreaterThanOrEqual(finishedLayers(killed));
    expect(digest(job.output)).toBe(undisturbed);
  });

  it('over its memory budget, spills to files, gives the same bytes and leaves nothing behind', async () => {
    const checkpoint = openCheckpoint(MODEL);
    const plan = planModel(checkpoint);
    checkpoint.close();
    const targets = chooseTargets(plan, { scheme: { bits: 4, symmetric: true, groupSize: 128 }, ignore: [] });
    const estimate = memoryEstimate(plan, targets, { tokens: 2048, lanes: 2, streams: 1 });
    let spilled: string[] = [];
    const memory = Math.ceil(estimate.workingBytes + 1.5 * estimate.storeBytes);
    const run = await quantizeInProcess({ model: MODEL, output: output('spilled'), memory }, (line) => {
      if (line === 'layer-started 1') spilled = readdirSync(join(output('spilled'), SPILL_FOLDER));
    });
    expect(run.lines.at(-1)).toBe('finished');
    expect(spilled).toContain('hidden');
    expect(spilled).toContain('experts-input');
    expect(digest(output('spilled'))).toBe(undisturbed);
    const tooLittle = await quantizeInProcess({ model: MODEL, output: output('too-little'), memory: 2 ** 20 });
    expect(tooLittle.lines.at(-1)).toMatch(/^error InputError run within --memory 0\.00 GiB: wanted at least/);
  });

  it('out of disk, says so, and goes on once there is room', () => {
    const [disk, copy] = [output('disk'), output('disk-copy')];
    mkdirSync(disk);
    const job = { model: MODEL, output: join(disk, 'out') };
    const command = (existing: 'refuse' | 'resume'): string =>
      childCommand({ ...job, existing })
        .map((part) => `'${part}'`)
        .join(' ');
    // Room for the checkpoint itself, which is asked for beforehand, but not for the hidden states beside it.
    const script = [
      `mount -t tmpfs -o size=650k tmpfs '${disk}'`,
      `${command('refuse')} || true`,
      `ls -A '${disk}/out'`,
      `mount -o remount,size=16m '${disk}'`,
      command('resume'),
      `cp -r '${disk}/out' '${copy}'`,
    ].join(' && ');
    const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
    const result = spawnSync('unshare', [...namespace, 'sh', '-c', script], { encoding: 'utf8' });
    expect(result.stderr).toBe('');
    const error = result.stdout.split('\n').find((line) => line.startsWith('error'));
    expect(error).toMatch(/^error InputError write file '.*': ENOSPC.*free some space, then resume$/);
    expect(result.stdout.split('planned')[1]).not.toMatch(/^config\.json$/m);
    expect(digest(copy)).toBe(undisturbed);
  });

  it('with its memory cut off, ends without anything that looks finished, and can be resumed', async () => {
    const job = { model: MODEL, output: output('starved') };
    const result = spawnSync('prlimit', ['--data=195000000', ...childCommand(job)], { encoding: 'utf8' });
    // Where memory runs out first, in V8 or in an allocation of ours, depends on the machine: the process may abort before
    // it can say a word. What it leaves behind may not depend on that.
    expect(result.stdout).not.toMatch(/^finished$/m);
    expect(looksFinished(job.output)).toBe(false);
    const resumed = await quantizeInProcess({ ...job, existing: 'resume' });
    expect(resumed.lines.at(-1)).toBe('finished');
    expect(digest(job.output)).toBe(undisturbed);
  });

  it('meeting a second run on its folder, is left alone by it', async () => {
    const job = { model: MODEL, output: output('shared') };
    await quantizeInProcess({ ...job, output: output('alone') });
    let second: ReturnType<typeof quantizeInProcess> | null = null;
    const first = await quantizeInProcess(job, (line, kill) => {
      if (line !== 'layer-started 0') return;
      // Held until the second has answered, which starts when it gets round to it.
      kill('SIGSTOP');
      second = quantizeInProcess({ ...job, existing: 'replace' }).finally(() => kill('SIGCONT'));
    });
    expect((await second!).lines.at(-1)).toMatch(
      /^error InputError write to '.*': process \d+ on '.*' is writing there/,
    );
    expect(first.lines.at(-1)).toBe('finished');
    expect(digest(job.output)).toBe(digest(output('alone')));
  });
});

describe('a model that is damaged', { timeout: TIMEOUT }, () => {
  it('a shard replaced during the run: refuses to finish', async () => {
    const model = copiedModel('replaced');
    const run = await quantizeInProcess({ model, output: output('replaced') }, (line) => {
      if (line !== 'layer-started 1') return;
      const path = join(model, 'model.safetensors');
      cpSync(path, `${path}.new`);
      renameSync(`${path}.new`, path);
    });
    expect(run.lines.at(-1)).toMatch(/^error InputError quantize '.*': its files were changed during the run/);
    expect(looksFinished(output('replaced'))).toBe(false);
  });

  it('a shard cut short during the run: stops and names it', async () => {
    const model = copiedModel('truncated');
    const run = await quantizeInProcess({ model, output: output('truncated') }, (line) => {
      if (line === 'layer-started 0') truncateSync(join(model, 'model.safetensors'), 30_000);
    });
    expect(run.lines.at(-1)).toMatch(/^error InputError .*model\.safetensors/);
    expect(looksFinished(output('truncated'))).toBe(false);
  });

  it('an index that points nowhere: stops before anything is written', async () => {
    const model = copiedModel('index');
    const source = openSafetensors(join(model, 'model.safetensors'));
    const weights = Object.fromEntries(
      [...source.infos.keys()].map((name) => [name, 'model-00001-of-00002.safetensors']),
    );
    source.close();
    renameSync(join(model, 'model.safetensors'), join(model, 'elsewhere.safetensors'));
    writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: weights }));
    const run = await quantizeInProcess({ model, output: output('index') });
    expect(run.lines.at(-1)).toMatch(/^error InputError .*model-00001-of-00002\.safetensors/);
    expect(looksFinished(output('index'))).toBe(false);
  });

  it('a weight that is not a number: names the tensor', async () => {
    const model = copiedModel('nan');
    const path = join(model, 'model.safetensors');
    const bytes = readFileSync(path);
    const header = Number(bytes.readBigUInt64LE(0));
    const name = 'model.layers.1.mlp.experts.3.up_proj.weight';
    const described = JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Record<
      string,
      { dtype: string; data_offsets: [number, number] }
    >;
    const { dtype, data_offsets: offsets } = described[name]!;
    const at = 8 + header + offsets[0] + 64;
    if (dtype === 'F32') bytes.writeFloatLE(NaN, at);
    else bytes.writeUInt16LE(dtype === 'BF16' ? 0x7fc0 : 0x7e00, at);
    writeFileSync(path, bytes);
    const run = await quantizeInProcess({ model, output: output('nan') });
    expect(run.lines.at(-1)).toMatch(/^error InputError .*'model\.layers\.1\.mlp\.experts\.3\.up_proj\.weight'.*NaN/);
    expect(looksFinished(output('nan'))).toBe(false);
  });
});
