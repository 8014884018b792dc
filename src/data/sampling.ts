/**
 * A reproducible stream of random numbers: splitmix32 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, 2014, in its 32-bit form), good for choosing rows, not for secrets.
 */
export interface Random {
  /** A whole number from 0 to bound − 1, without bias. */
  below(bound: number): number;
}

export function createRandom(seed: number, stream: string): Random {
  let state = hash32(`${seed}\u0000${stream}`);
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  /** 53 random bits; bounds are row counts, so the bias of the remainder stays below 2⁻²⁰. */
  const wide = (): number => next() * 0x200000 + (next() >>> 11);
  return { below: (bound) => wide() % bound };
}

/** FNV-1a over the UTF-16 code units. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash >>> 0;
}

/**
 * `count` different numbers below `total`, ascending, every set equally likely (Floyd's algorithm); all of them when
 * there are no more.
 */
export function drawIndices(count: number, total: number, random: Random): number[] {
  if (count >= total) return Array.from({ length: total }, (_, index) => index);
  const chosen = new Set<number>();
  for (let bound = total - count; bound < total; bound++) {
    const candidate = random.below(bound + 1);
    chosen.add(chosen.has(candidate) ? bound : candidate);
  }
  return [...chosen].sort((a, b) => a - b);
}

/**
 * `count` items of a stream whose length nobody knows, every set equally likely (Vitter's algorithm R), in the order of
 * the stream.
 */
export async function drawFromStream<T>(items: AsyncIterable<T>, count: number, random: Random): Promise<T[]> {
  const kept: { readonly item: T; readonly position: number }[] = [];
  let position = 0;
  for await (const item of items) {
    if (kept.length < count) kept.push({ item, position });
    else {
      const slot = random.below(position + 1);
      if (slot < count) kept[slot] = { item, position };
    }
    position++;
  }
  return kept.sort((a, b) => a.position - b.position).map(({ item }) => item);
}
