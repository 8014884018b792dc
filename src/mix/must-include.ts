import { InputError } from '../errors.js';

/** Source → ids of rows that are in the mix whatever the draw. */
export type MustInclude = ReadonlyMap<string, ReadonlySet<string>>;

export function isRequired(must: MustInclude, source: string, recordId: string): boolean {
  return must.get(source)?.has(recordId) ?? false;
}

/**
 * Looks for the rows asked for among those that were kept.
 *
 * @param kept ids of the kept rows by source
 * @throws InputError naming the rows that are missing, and one that is there, for its form
 */
export function checkRequired(must: MustInclude, kept: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [source, ids] of must) {
    const there = kept.get(source) ?? new Set<string>();
    const missing = [...ids].filter((id) => !there.has(id));
    if (missing.length === 0) continue;
    const [example] = there;
    throw new InputError(
      `Cannot include ${missing.map((id) => `"${id}"`).join(', ')} of "${source}": wanted rows that were read and kept` +
        (example === undefined ? ', got none' : `, such as "${example}"`),
    );
  }
}
