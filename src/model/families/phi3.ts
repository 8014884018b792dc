import {
  activationPlan,
  attentionPlan,
  decoderPlan,
  headSizes,
  linearPlan,
  preNormLayer,
  type Declaration,
  type Family,
} from '../declare.js';
import { windowMask } from '../masks.js';
import type { DensePlan, RopePlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/** Phi-3, Phi-3.5 and Phi-4: q, k and v in one Linear, gate and up in another. */
export const phi3: Family = {
  name: 'phi3',
  architectures: ['Phi3ForCausalLM'],
  defaults: { rms_norm_eps: 1e-5, original_max_position_embeddings: 4096 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = phi3Rope(declaration);
    return decoderPlan(declaration, 'phi3', (index) => {
      const prefix = `${root}.layers.${index}`;
      const queryKeyValue = linearPlan(declaration, `${prefix}.self_attn.qkv_proj`);
      return preNormLayer(declaration, index, {
        mixer: attentionPlan(declaration, prefix, {
          rope,
          mask: windowMask(config),
          projections: { kind: 'fused', queryKeyValue },
        }),
        feedForward: fusedDense(declaration, `${prefix}.mlp`),
      });
    });
  },
};

/** Early configs call longrope `su` or `yarn`. */
function phi3Rope({ config }: Declaration): RopePlan {
  const given = config.object('rope_parameters') ?? config.object('rope_scaling') ?? {};
  const isYarn = (given['rope_type'] ?? given['type']) === 'yarn';
  return ropePlan(config, { ...headSizes(config), parameters: isYarn ? { ...given, rope_type: 'longrope' } : given });
}

function fusedDense(declaration: Declaration, module: string): DensePlan {
  return {
    kind: 'dense',
    projections: { kind: 'fused', gateUp: linearPlan(declaration, `${module}.gate_up_proj`) },
    down: linearPlan(declaration, `${module}.down_proj`),
    activation: activationPlan(declaration.config),
  };
}
