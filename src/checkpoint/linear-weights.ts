/** Embeddings are 2-D too, but no Linear. */
const EMBEDDING = /emb|\bwte\b|\bwpe\b/i;

/**
 * The module path of a tensor that is the weight of a Linear, as far as name and shape tell, or null. An output's
 * ignore list must name all of these that are not quantized, those of towers and projectors included: transformers
 * expects packed weights in every Linear that the list does not name.
 */
export function linearModule(name: string, shape: readonly number[]): string | null {
  const isLinear = shape.length === 2 && name.endsWith('.weight') && !EMBEDDING.test(name);
  return isLinear ? name.slice(0, -'.weight'.length) : null;
}
