import * as z from 'zod';
import { moduleEntry } from './module-entry.js';

/** Modifiers that this quantizer stands in for. */
export const MODIFIERS = ['AWQModifier', 'QuantizationModifier', 'GPTQModifier'] as const;
export type ModifierName = (typeof MODIFIERS)[number];

const targets = z.union([moduleEntry.transform((target) => [target]), z.array(moduleEntry).min(1)]);

/** Settings without a bearing on the result here, and why. */
export const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  offload_device: 'where tensors lie is settled by --memory',
  offload_hessians: 'where tensors lie is settled by --memory',
  sequential_targets: 'layers are walked one by one anyway',
  sequential_update: 'layers are walked one by one anyway',
  block_size: 'error feedback gives the same at any block size',
  batched_quantization: 'how many modules go at once is settled by --lanes',
  bypass_divisibility_checks: 'groups that do not divide a dimension get smaller, and are told',
  input_observer: 'activations are not quantized',
  output_observer: 'activations are not quantized',
  index: 'there are no training steps',
  group: 'there are no training steps',
  start: 'there are no training steps',
  end: 'there are no training steps',
  update: 'there are no training steps',
};

const withoutEffect = Object.fromEntries(
  Object.keys(WITHOUT_EFFECT).map((key) => [key, z.unknown().optional()]),
) as Record<keyof typeof WITHOUT_EFFECT, z.ZodOptional<z.ZodUnknown>>;

/** The mse ones search the range as `clip` does; the min-max ones take it as it is. */
const observer = z.enum(['minmax', 'memoryless_minmax', 'static_minmax', 'mse', 'memoryless_mse']);

const lower = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (typeof value === 'string' ? value.toLowerCase() : value), schema);

const weightsSchema = z.strictObject({
  num_bits: z.union([z.literal(4), z.literal(8)]).default(8),
  type: lower(z.literal('int')).default('int'),
  symmetric: z.boolean().default(true),
  strategy: lower(z.enum(['group', 'channel'])).nullish(),
  group_size: z.union([z.literal(32), z.literal(64), z.literal(128), z.literal(-1)]).nullish(),
  dynamic: z.literal(false).default(false),
  actorder: z.union([z.enum(['static', 'weight']), z.literal(false)]).nullish(),
  observer: lower(observer).nullish(),
  observer_kwargs: z.strictObject({}).nullish(),
  block_structure: z.null().optional(),
  // Written by saved recipes: null, and of asymmetric weights the dtype that zero points have while calibrating.
  scale_dtype: z.null().optional(),
  zp_dtype: z.literal('torch.int8').nullish(),
});
export type WeightArguments = z.output<typeof weightsSchema>;

const groupSchema = z.strictObject({
  targets,
  weights: weightsSchema,
  input_activations: z.null().optional(),
  output_activations: z.null().optional(),
  format: z.enum(['pack-quantized']).nullish(),
});

const common = {
  targets: targets.optional(),
  ignore: z.array(moduleEntry).optional(),
  scheme: z.union([z.string().min(1), z.record(z.string(), targets)]).optional(),
  config_groups: z.record(z.string(), groupSchema).optional(),
  kv_cache_scheme: z.null().optional(),
  weight_observer: lower(observer).nullish(),
  observer: z
    .strictObject({
      weights: lower(observer).optional(),
      input: z.string().optional(),
      output: z.string().optional(),
    })
    .nullish(),
  requires_calibration_data: z.boolean().optional(),
  ...withoutEffect,
} as const;

export const MODIFIER_SCHEMAS = {
  AWQModifier: z.strictObject({
    ...common,
    mappings: z
      .array(
        z.strictObject({
          smooth_layer: moduleEntry,
          balance_layers: z.array(moduleEntry).min(1),
          // Where a hook catches the inputs that the edge's readers share: they are known here.
          activation_hook_target: z.string().nullish(),
        }),
      )
      .nullish(),
    duo_scaling: z.union([z.boolean(), z.literal('both')]).optional(),
    n_grid: z.int().min(3).max(1000).optional(),
  }),
  QuantizationModifier: z.strictObject(common),
  GPTQModifier: z.strictObject({
    ...common,
    dampening_frac: z.number().positive().max(1).nullish(),
    actorder: z.union([z.enum(['static', 'weight']), z.literal(false)]).nullish(),
  }),
} as const;

export type ModifierSettings = z.output<(typeof MODIFIER_SCHEMAS)[ModifierName]>;
