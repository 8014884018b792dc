import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { z } from 'zod';

/** A file that oracle/generate.py wrote. */
export function readOracle<S extends z.ZodType>(name: string, schema: S): z.output<S> {
  const bytes = gunzipSync(readFileSync(new URL(`oracle/${name}.json.gz`, import.meta.url)));
  return schema.parse(JSON.parse(bytes.toString()));
}
