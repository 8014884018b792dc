import * as z from 'zod';
import { patternProblem } from '../checkpoint/python-regex.js';

/** An entry of an ignore or target list: a name, or `re:` and a pattern as Python reads it. */
export const moduleEntry = z
  .string()
  .min(1)
  .superRefine((entry, context) => {
    const problem = patternProblem(entry);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });
