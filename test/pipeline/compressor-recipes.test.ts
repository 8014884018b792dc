import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { planModel } from '../../src/model/registry.js';
import { mappingNotes } from '../../src/pipeline/mappings.js';
import { runQuantization, verifyOutput } from '../../src/pipeline/quantize.js';
import { quantizeSettings } from '../../src/pipeline/settings.js';
import { parseRecipe } from '../../src/recipe/load.js';
import { randomSequences } from '../interop/quantized.js';
import { folder } from '../model/folders.js';

const directory = mkdtempSync(join(tmpdir(), 'evenkeel-compressor-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs an llm-compressor recipe on a conformance model: notes, smoothed edges, and the modules that came out packed. */
async function runRecipe(name: string, model: string, quantize: string) {
  const output = join(directory, name);
  const path = folder(model);
  writeFileSync(join(directory, `${name}-quantize.yaml`), quantize);
  const recipe = await parseRecipe(
    `model: ${path}\nmix: {sources: [{dataset: 'builtin:languages'}]}\nquantize: ./${name}-quantize.yaml\noutput: ${output}\n`,
    join(directory, `${name}.yaml`),
  );
  const checkpoint = openCheckpoint(path);
  const plan = planModel(checkpoint);
  const settings = quantizeSettings(recipe.quantize, checkpoint);
  const notes = mappingNotes(plan, recipe.quantize.mappings ?? []);
  checkpoint.close();
  const sequences = randomSequences(plan.vocabularySize);
  const run = runQuantization({ model: path, sequences, settings, floor: 0, output, existing: 'refuse', lanes: 1 });
  let next = await run.next();
  while (next.done !== true) next = await run.next();
  const { reports, targets } = next.value;
  const verification = verifyOutput(output, path, settings);
  let verified = await verification.next();
  while (verified.done !== true) verified = await verification.next();
  return {
    notes: notes.map(({ message }) => message),
    edges: [...new Set(reports.flatMap(({ edges }) => edges.map(({ edge }) => edge)))],
    downs: reports.flatMap(({ experts }) => experts.map(({ downRatio }) => downRatio)),
    quantized: [...targets.quantized.keys()],
    findings: verified.value,
    config: JSON.parse(readFileSync(join(output, 'config.json'), 'utf8')).quantization_config,
  };
}

/** The mappings that llm-compressor itself uses for most mixtures of experts. */
const EXPERT_MAPPINGS = String.raw`
      mappings:
        - smooth_layer: re:.*input_layernorm$
          balance_layers: ['re:.*q_proj$', 're:.*k_proj$', 're:.*v_proj$']
        - {smooth_layer: 're:.*v_proj$', balance_layers: ['re:.*o_proj$']}
        - smooth_layer: re:.*post_attention_layernorm$
          balance_layers: ['re:.*mlp.gate$', 're:.*mlp.experts.*.gate_proj$', 're:.*mlp.experts.*.up_proj$']
        - {smooth_layer: 're:.*up_proj$', balance_layers: ['re:.*down_proj$']}`;

const SHAPES = fileURLToPath(new URL('../recipe/compressor/', import.meta.url));

describe('an llm-compressor recipe, run', () => {
  it.each(readdirSync(SHAPES))('in the shape of %s', async (name) => {
    const model = name === 'latent-attention.yaml' ? 'deepseek_v3' : 'qwen3_moe';
    const { findings, quantized, edges } = await runRecipe(name, model, readFileSync(SHAPES + name, 'utf8'));
    expect(findings).toEqual([]);
    expect(quantized.some((module) => module.includes('experts'))).toBe(true);
    expect(edges.length > 0).toBe(readFileSync(SHAPES + name, 'utf8').includes('AWQModifier'));
  });

  it('smooths by its own mappings, v → o left out under grouped queries', async () => {
    const { notes, edges, downs, findings, config } = await runRecipe(
      'mappings',
      'qwen3_moe',
      `quant_stage:
  quant_modifiers:
    AWQModifier:
      duo_scaling: both
      n_grid: 6${EXPERT_MAPPINGS}
    QuantizationModifier:
      ignore: [lm_head, 're:.*mlp.gate$']
      config_groups:
        group_0:
          weights: {num_bits: 4, type: int, symmetric: true, strategy: group, group_size: 32}
          targets: [Linear]
`,
    );
    expect(notes).toEqual(['the mapping of "re:.*v_proj$" to "re:.*o_proj$" is left out: their widths differ']);
    expect(edges).toEqual(['input_norm → mixer', 'feed_forward_norm → gate, up']);
    expect(downs.some((ratio) => ratio !== null)).toBe(true);
    expect(findings).toEqual([]);
    expect(config.config_groups.group_0.weights).toMatchObject({ num_bits: 4, symmetric: true, group_size: 32 });
  });

  it('smooths only what its mappings name, by layer where they say so', async () => {
    const { edges, downs, findings } = await runRecipe(
      'one-mapping',
      'qwen3_moe',
      `AWQModifier:
  config_groups: {all: {targets: Linear, weights: {num_bits: 4, group_size: 32}}}
  ignore: [lm_head]
  mappings:
    - {smooth_layer: 're:.*layers.1.mlp.experts.*up_proj$', balance_layers: ['re:.*down_proj$']}
`,
    );
    expect(edges).toEqual([]);
    const half = downs.length / 2;
    expect(downs.slice(0, half).every((ratio) => ratio === null)).toBe(true);
    expect(downs.slice(half).some((ratio) => ratio !== null)).toBe(true);
    expect(findings).toEqual([]);
  });

  it('quantizes only its targets, each group with its own scheme', async () => {
    const { quantized, findings, config } = await runRecipe(
      'targets',
      'llama',
      String.raw`AWQModifier: {n_grid: 4}
QuantizationModifier:
  ignore: [lm_head]
  config_groups:
    attention:
      targets: ['re:.*self_attn\.(q|k|v|o)_proj$']
      weights: {num_bits: 8, type: int, symmetric: true, strategy: channel}
    down:
      targets: ['re:.*layers\.0\.mlp\.down_proj$']
      weights: {num_bits: 4, type: int, symmetric: false, strategy: group, group_size: 64}
`,
    );
    expect(quantized.filter((module) => module.includes('mlp'))).toEqual(['model.layers.0.mlp.down_proj']);
    expect(quantized.filter((module) => module.includes('self_attn'))).toHaveLength(8);
    expect(findings).toEqual([]);
    const groups = Object.values(config.config_groups as Record<string, { weights: { num_bits: number } }>);
    expect(groups.map(({ weights }) => weights.num_bits).toSorted((a, b) => a - b)).toEqual([4, 8]);
  });

  it('is refused at the line of a mapping that the architecture has no edge for', async () => {
    const recipe = `AWQModifier:
  scheme: W4A16
  mappings:
    - {smooth_layer: 're:.*norm_that_is_not$', balance_layers: ['re:.*q_proj$']}
`;
    await expect(runRecipe('refused', 'llama', recipe)).rejects.toThrow(/refused-quantize\.yaml:4:7: Cannot honour/);
  });
});
