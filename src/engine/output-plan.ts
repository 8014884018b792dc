import type { CheckpointFormat, LinearLayout, LinearSpec } from '../checkpoint/format.js';
import type { TensorEntry } from '../checkpoint/encode.js';
import { linearModule } from '../checkpoint/linear-weights.js';
import type { Checkpoint } from '../checkpoint/open.js';
import type { Dtype } from '../checkpoint/tensor-source.js';
import type { Targets } from '../awq/targets.js';
import { layerLinears } from '../model/linears.js';
import type { LayerPlan, Linear, ModelPlan } from '../model/plan.js';
import { usableEdges } from './smoothing.js';

/** Where every tensor of the output comes from, known before anything is computed. */
export interface OutputPlan {
  readonly entries: readonly TensorEntry[];
  readonly layout: LinearLayout;
  /** Tensors that a layer's result brings, by layer. */
  readonly byLayer: readonly (readonly string[])[];
  /** Stored tensors copied bit for bit. */
  readonly copied: readonly string[];
  /** Encoded weights (fp8, mxfp4) that stay unquantized and are written decoded, in the model's dtype. */
  readonly decoded: readonly string[];
}

/** The dtype a rewritten tensor keeps, or the scale's where the source is encoded. */
export function rewrittenDtype(
  checkpoint: Checkpoint,
  tensor: string,
  fallback: 'BF16' | 'F16',
): 'BF16' | 'F16' | 'F32' {
  const dtype = checkpoint.infos.get(tensor)?.dtype;
  return dtype === 'BF16' || dtype === 'F16' || dtype === 'F32' ? dtype : fallback;
}

/** The dtype of the model's scales: its own where the format can hold it. */
export function scaleDtype(checkpoint: Checkpoint, format: CheckpointFormat['name']): 'BF16' | 'F16' {
  if (format === 'autoawq') return 'F16';
  const counts = new Map<Dtype, number>();
  for (const { dtype } of checkpoint.infos.values()) counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  return (counts.get('F16') ?? 0) > (counts.get('BF16') ?? 0) ? 'F16' : 'BF16';
}

export function planOutput(
  checkpoint: Checkpoint,
  plan: ModelPlan,
  targets: Targets,
  format: CheckpointFormat,
  dtype: 'BF16' | 'F16',
): OutputPlan {
  const entries: TensorEntry[] = [];
  const quantized: LinearSpec[] = [];
  const unquantized = [...targets.kept.keys()];
  const consumed = new Set<string>();
  const byLayer = plan.layers.map((layer) => {
    const own: TensorEntry[] = [];
    for (const linear of layerLinears(layer)) {
      const scheme = targets.quantized.get(linear.module);
      if (scheme === undefined) continue;
      const { outFeatures, inFeatures, module } = linear;
      const spec = { outFeatures, inFeatures, module, scheme, scaleDtype: dtype };
      quantized.push(spec);
      own.push(...format.entries(spec));
      consumeTensor(checkpoint, linear.weight.tensor, consumed);
      if (linear.bias !== null) {
        const stored = linear.bias.tensor;
        own.push({ name: `${module}.bias`, dtype: rewrittenDtype(checkpoint, stored, dtype), shape: [outFeatures] });
        consumed.add(stored);
      }
    }
    for (const tensor of rewrittenTensors(layer, targets)) {
      if (consumed.has(tensor)) continue;
      consumeTensor(checkpoint, tensor, consumed);
      own.push({ name: tensor, dtype: rewrittenDtype(checkpoint, tensor, dtype), shape: checkpoint.shape(tensor) });
    }
    entries.push(...own);
    return own.map(({ name }) => name);
  });
  const copied: string[] = [];
  const decoded: string[] = [];
  for (const { name, shape, encoding } of checkpoint.tensors.values()) {
    if (consumed.has(name)) continue;
    const info = encoding === 'plain' ? checkpoint.infos.get(name) : undefined;
    (info === undefined ? decoded : copied).push(name);
    const module = linearModule(name, shape);
    if (module !== null && !targets.kept.has(module)) unquantized.push(module);
    entries.push({ name, dtype: info?.dtype ?? dtype, shape });
  }
  return { entries, layout: { quantized, unquantized }, byLayer, copied, decoded };
}

function consumeTensor(checkpoint: Checkpoint, tensor: string, consumed: Set<string>): void {
  consumed.add(tensor);
  for (const part of checkpoint.tensors.get(tensor)?.parts ?? []) consumed.add(part);
}

/** Norms, kept readers and kept sources of a layer's usable edges: rewritten whether or not the search moves them. */
function rewrittenTensors(layer: LayerPlan, targets: Targets): string[] {
  return usableEdges(layer, targets).flatMap(({ source, readers }) => {
    const linears = [...readers, ...(source.kind === 'linear' ? [source.linear] : [])].filter(
      ({ module }) => !targets.quantized.has(module),
    );
    const norm = source.kind === 'norm' ? [source.norm.weight, source.norm.bias] : [];
    return [
      ...norm,
      ...linears.map(({ weight }) => weight.tensor),
      ...sourceBias(source.kind === 'linear' ? source.linear : null, targets),
    ].filter((tensor): tensor is string => tensor !== null);
  });
}

function sourceBias(source: Linear | null, targets: Targets): string[] {
  return source === null || source.bias === null || targets.quantized.has(source.module) ? [] : [source.bias.tensor];
}
