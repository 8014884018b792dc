import type { Declaration } from './declare.js';
import type { HeadNorm } from './plan.js';

/** An RMSNorm over each head of a query or key. */
export function perHeadNorm(
  { config, source }: Declaration,
  module: string,
  rest: Partial<Pick<HeadNorm, 'offset' | 'order'>> = {},
): HeadNorm {
  source.shape(`${module}.weight`);
  const epsilon = config.number('rms_norm_eps', 1e-6);
  return { over: 'head', kind: 'rms', weight: `${module}.weight`, offset: 0, epsilon, order: 'before-rope', ...rest };
}

/** An RMSNorm over a whole query or key projection, all heads together. */
export function widthNorm(declaration: Declaration, module: string): HeadNorm {
  return { ...perHeadNorm(declaration, module), over: 'width' };
}

/** x / √(mean x² + ε) of each head, with no weight. */
export function plainHeadNorm({ config }: Declaration, order: HeadNorm['order']): HeadNorm {
  const epsilon = config.number('rms_norm_eps', 1e-6);
  return { over: 'head', kind: 'rms', weight: null, offset: 0, epsilon, order };
}
