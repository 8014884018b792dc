import type { JsonObject, Sample } from '../data/sample.js';
import { loadChatTemplate } from '../text/chat-template.js';
import { loadTokenizer, type TokenizerSource } from '../text/load-tokenizer.js';
import type { CleanOptions } from './clean.js';
import { loadContaminationLists } from './contamination.js';
import { attempt, createPreparer, type Outcome } from './prepare.js';
import type { OverflowRule } from './windows.js';

/** {@link PrepareOptions} as plain data, which a worker thread can be given. */
export interface PreparePlan {
  readonly tokenizer: TokenizerSource;
  /** See `loadTokenizer`. */
  readonly plainTokenizer?: boolean;
  /** Model folder whose chat template is used; null where there is none. */
  readonly model: string | null;
  /** A template file in place of the model's own. */
  readonly templateFile: string | null;
  readonly modelVocabularySize: number | null;
  readonly sequenceLength: number;
  readonly overflow: OverflowRule;
  readonly templateArguments: JsonObject;
  readonly template: string | null;
  readonly date: string | null;
  readonly clean: CleanOptions | null;
  readonly contamination: { readonly lists: readonly string[]; readonly ngram: number } | null;
}

/** Loads what a plan names. */
export async function openPlan(plan: PreparePlan): Promise<(sample: Sample) => Outcome> {
  const { contamination: lists } = plan;
  const prepare = createPreparer({
    ...plan,
    tokenizer: await loadTokenizer(plan.tokenizer, plan.plainTokenizer),
    chatTemplate: await loadChatTemplate(plan.model, plan.templateFile ?? undefined),
    contamination:
      lists === null || lists.lists.length === 0 ? null : await loadContaminationLists(lists.lists, lists.ngram),
    template: plan.template ?? undefined,
    date: plan.date ?? undefined,
    clean: plan.clean ?? undefined,
  });
  return (sample) => attempt(prepare, sample);
}
