import type { Coverage, CoverageFailure } from '../coverage/coverage.js';
import { feedingLanguages } from '../coverage/feeding-languages.js';
import type { FixList } from '../coverage/fixes.js';
import { closingSentence } from './balance-sentences.js';
import type { ReportData } from './report-data.js';
import { count, languageName, listing, plain, plural } from './text.js';

/** The verdict in one sentence that needs no other. */
export function verdictSentence(coverage: Coverage): string {
  const { failures, summary, layers, floor } = coverage;
  if (failures.length > 0) return `${listing(failures.map((failure) => failureText(coverage, failure)))}.`;
  if (layers.length === 0) return 'Every language and channel has the tokens that its floor asks for.';
  return (
    `Every one of the ${count(summary.cells)} cells gets at least ${count(floor)} routed tokens; ` +
    `${leastFed(coverage)}.`
  );
}

function leastFed({ worst }: Coverage): string {
  const { layer, expert, routed } = worst[0]!;
  return `the least-fed, layer ${layer} expert ${expert}, gets ${routed === 0 ? 'none' : count(routed)}`;
}

function failureText(coverage: Coverage, failure: CoverageFailure): string {
  const { summary, estimate } = coverage;
  switch (failure.kind) {
    case 'cells': {
      const empty = summary.empty === 0 ? '' : `, ${count(summary.empty)} of them none at all`;
      const gets = failure.cells === 1 ? 'gets' : 'get';
      return (
        `${count(failure.cells)} of ${count(summary.cells)} cells ${gets} fewer than ${count(failure.floor)} routed ` +
        `tokens${empty} (${leastFed(coverage)})`
      );
    }
    case 'open':
      return (
        `${plural(failure.cells, 'cell')} may be above or under ${count(failure.floor)} routed tokens, as far as the first ` +
        `${count(estimate?.prefix ?? 0)} tokens of each sequence tell`
      );
    case 'language':
      return `${languageName(plain(failure.language))} has ${tokensOf(failure)}`;
    case 'channel':
      return `the channel ${failure.channel} has ${tokensOf(failure)}`;
    case 'length':
      return `half of the sequences have ${count(failure.median)} tokens or fewer, where ${count(failure.floor)} were asked for`;
  }
}

function tokensOf({ tokens, floor }: { readonly tokens: number; readonly floor: number }): string {
  return `${plural(tokens, 'token')} of the ${count(floor)} it should have`;
}

export interface Advice {
  /** What the line is about: the cause, what to add, what else would help, what to ask next. */
  readonly label: 'Why' | 'Add' | 'Or' | 'Next';
  readonly text: string;
}

type AdviceFacts = Pick<ReportData, 'coverage' | 'fixes' | 'balance'>;

/** Why a mix fails and what to do about it, the most useful first; empty when it passes. */
export function adviceOf({ coverage, fixes, balance }: AdviceFacts): Advice[] {
  if (coverage.verdict === 'pass') return [];
  const { summary, imported, estimate } = coverage;
  const isHungry = summary.underFloor > 0;
  const addition = fixes === undefined ? null : additionSentence(fixes);
  const closing = balance === undefined ? null : closingSentence(balance);
  const cause = isHungry ? causeSentence(coverage) : null;
  const offered = addition ?? closing;
  const lines: readonly (readonly [Advice['label'], string | null])[] = [
    ['Why', cause],
    ['Add', offered],
    ['Add', missingGroups(coverage, fixes)],
    ['Add', isHungry && offered === null ? wantedSentence(coverage) : null],
    ['Or', isHungry && summary.empty === 0 ? sameMixSentence(coverage) : null],
    ['Next', isHungry && fixes === undefined && closing === null ? nextSentence(imported !== undefined) : null],
    ['Next', (estimate?.open ?? 0) > 0 ? 'A longer --prefix, or --stop-early, settles the cells that are open.' : null],
  ];
  const said = lines.flatMap(([label, text]) => (text === null ? [] : [{ label, text }]));
  const hasChoice = said.some(({ label }) => label === 'Add');
  return said.map((line) => (line.label === 'Or' && !hasChoice ? { ...line, label: 'Add' } : line));
}

function nextSentence(isImported: boolean): string {
  const flags = isImported ? '--suggest POOL --model DIR' : '--suggest POOL';
  return `${flags} names rows of a file, a mix or a built-in set that would close the gaps.`;
}

/** What a pool offers, in one breath. */
export function additionSentence({ additions, tokens, cells, unfed }: FixList): string | null {
  if (additions.length === 0) return null;
  const languages = [...new Set(additions.map(({ language }) => language))];
  const named = languages.slice(0, NAMED).map((tag) => languageName(plain(tag)));
  const others = languages.length - named.length;
  const names = listing(others > 0 ? [...named, plural(others, 'more language')] : named);
  const sources = listing([...new Set(additions.map(({ source }) => plain(source)))].slice(0, NAMED));
  const closed = additions.reduce((sum, { cellsClosed }) => sum + cellsClosed, 0);
  const effect =
    cells.length === 0
      ? ''
      : closed === cells.length
        ? `, which brings ${closed === 1 ? 'that cell' : `all ${count(closed)} cells`} to the floor`
        : `, which brings ${count(closed)} of the ${count(cells.length)} cells to the floor`;
  const rest = unfed === 0 ? '' : ` Nothing in the pool feeds ${unfed === 1 ? 'one cell' : `${count(unfed)} cells`}.`;
  return `About ${count(tokens)} tokens of ${names} from ${sources}${effect}.${rest}`;
}

/** Languages, sources and channels named in a sentence. */
const NAMED = 4;

/** Languages, channels and lengths under their floors, but for what a pool's additions bring already. */
function missingGroups({ failures }: Coverage, fixes: FixList | undefined): string | null {
  const added = new Set(fixes?.additions.map(({ language }) => language));
  const names = failures.flatMap((failure) => {
    switch (failure.kind) {
      case 'language':
        return added.has(failure.language)
          ? []
          : [`${plural(failure.floor - failure.tokens, 'token')} of ${languageName(plain(failure.language))}`];
      case 'channel':
        return [`${plural(failure.floor - failure.tokens, 'token')} in the channel ${failure.channel}`];
      case 'length':
        return ['longer sequences'];
      default:
        return [];
    }
  });
  return names.length === 0 ? null : `${capitalized(listing(names))}.`;
}

/** A mix in one language has one cause. */
function causeSentence({ languages }: Coverage): string | null {
  const [only, ...others] = Object.keys(languages);
  if (only === undefined || only === 'und' || others.length > 0) return null;
  return `All of the text is ${languageName(plain(only))}: experts that serve other languages starve.`;
}

/** What the mix itself tells about its hungry cells. */
function wantedSentence(coverage: Coverage): string | null {
  const spoken = Object.keys(coverage.languages);
  const feeders = feedingLanguages(coverage).slice(0, 3);
  if (coverage.summary.empty > 0) {
    return 'Text of a kind that this mix does not have: more of the same may never feed the empty cells.';
  }
  if (spoken.length === 1) return causeSentence(coverage) === null ? null : 'Text in other languages.';
  if (feeders.length === 0) return null;
  const names = listing(feeders.map(({ language }) => languageName(plain(language))));
  const reach = feeders.length === 1 ? 'reaches' : 'reach';
  return `More ${names}, which ${reach} the hungry cells most, token for token, of the languages in the mix.`;
}

function sameMixSentence({ saturation }: Coverage): string | null {
  if (saturation?.moreTokens == null || saturation.moreTokens === 0) return null;
  return `About ${count(saturation.moreTokens)} more tokens of the same mix.`;
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
