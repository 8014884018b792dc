import type { Detector } from './detectors.js';

const UNKNOWN_TO_ELD = 'eld was not trained on Irish, Maltese or Swahili and names the nearest of its sixty languages';
const INDONESIAN = 'eld knows Malay only, of which Indonesian is the other standard';
const CROATIAN =
  'Croatian, Bosnian and Serbian share their letters and most of their trigrams; the ijekavian forms fit all three';
const SHORT = 'two sentences about units and formulas: too few trigrams for franc';

/** One detector's verdict that is not the row's language, and why it is the detector that errs. */
export interface Disagreement {
  readonly record: string;
  readonly part: 'spoken' | 'reasoning';
  readonly detector: Detector;
  readonly found: string;
  readonly why: string;
}

function disagreement(
  record: string,
  part: Disagreement['part'],
  detector: Detector,
  found: string,
  why: string,
): Disagreement {
  return { record, part, detector, found, why };
}

/** All of them, in the order of the sets and rows. No row has both detectors against it. */
export const DISAGREEMENTS: readonly Disagreement[] = [
  disagreement('languages/ga', 'spoken', 'eld', 'fr', UNKNOWN_TO_ELD),
  disagreement('languages/hr', 'spoken', 'franc', 'bs', CROATIAN),
  disagreement('languages/id', 'spoken', 'eld', 'ms', INDONESIAN),
  disagreement('languages/mt', 'spoken', 'eld', 'it', UNKNOWN_TO_ELD),
  disagreement('languages/sw', 'spoken', 'eld', 'tl', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/ga-1-uru-agus-dreigi', 'spoken', 'eld', 'yo', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/ga-2-port-mod', 'spoken', 'eld', 'en', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/ga-3-uimhreacha-intl', 'spoken', 'eld', 'yo', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/ga-4-cnoc-breanainn', 'spoken', 'eld', 'en', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/hr-1-current-triangle', 'spoken', 'franc', 'bs', CROATIAN),
  disagreement('multilingual-dialogues/hr-1-current-triangle', 'reasoning', 'franc', 'sr', CROATIAN),
  disagreement('multilingual-dialogues/hr-4-bulky-waste', 'spoken', 'franc', 'bs', CROATIAN),
  disagreement('multilingual-dialogues/mt-1-blalen-tal-alka', 'spoken', 'eld', 'de', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/mt-1-blalen-tal-alka', 'reasoning', 'eld', 'it', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/mt-2-lezzjoni-ghall-carers', 'spoken', 'eld', 'en', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/mt-3-vat-fuq-spreadsheet', 'spoken', 'eld', 'ca', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/mt-3-vat-fuq-spreadsheet', 'reasoning', 'eld', 'it', UNKNOWN_TO_ELD),
  disagreement('multilingual-dialogues/mt-4-hajt-tal-franka', 'spoken', 'eld', 'hr', UNKNOWN_TO_ELD),
  disagreement('tool-calling/cs-1-varka-piva', 'reasoning', 'franc', 'bs', SHORT),
  disagreement('tool-calling/ga-1-logainmneacha', 'spoken', 'eld', 'yo', UNKNOWN_TO_ELD),
  disagreement('tool-calling/ga-1-logainmneacha', 'reasoning', 'eld', 'yo', UNKNOWN_TO_ELD),
  disagreement('tool-calling/mt-1-appuntament-fizjoterapija', 'spoken', 'eld', 'it', UNKNOWN_TO_ELD),
  disagreement('tool-calling/sw-1-chama', 'spoken', 'eld', 'tl', UNKNOWN_TO_ELD),
];
