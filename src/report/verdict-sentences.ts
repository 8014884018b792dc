import type { Coverage, CoverageFailure } from '../coverage/coverage.js';
import { feedingLanguages } from '../coverage/feeding-languages.js';
import type { FixList } from '../coverage/fixes.js';
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

/** What to add, for a mix that fails; null when there is nothing to say. */
export function adviceSentence({ coverage, fixes }: Pick<ReportData, 'coverage' | 'fixes'>): string | null {
  if (coverage.verdict === 'pass') return null;
  const sentences = [
    ...(fixes === undefined ? [] : [additionSentence(fixes)]),
    ...missingGroups(coverage),
    ...(coverage.summary.underFloor === 0 ? [] : feederSentences(coverage, fixes)),
  ].filter((sentence) => sentence !== null);
  return sentences.length === 0 ? null : sentences.join(' ');
}

/** What a pool offers, in one breath. */
export function additionSentence({ additions, tokens, cells, unfed }: FixList): string | null {
  if (additions.length === 0) return null;
  const languages = [...new Set(additions.map(({ language }) => language))];
  const named = languages.slice(0, NAMED).map((tag) => languageName(plain(tag)));
  const others = languages.length - named.length;
  const names = listing(others > 0 ? [...named, `${plural(others, 'more language')}`] : named);
  const sources = listing([...new Set(additions.map(({ source }) => plain(source)))].slice(0, NAMED));
  const closed = additions.reduce((sum, { cellsClosed }) => sum + cellsClosed, 0);
  const effect =
    cells.length === 0
      ? ''
      : closed === cells.length
        ? `, which brings ${closed === 1 ? 'that cell' : `all ${count(closed)} cells`} to the floor`
        : `, which brings ${count(closed)} of the ${count(cells.length)} cells to the floor`;
  const rest = unfed === 0 ? '' : ` Nothing in the pool feeds ${unfed === 1 ? 'one cell' : `${count(unfed)} cells`}.`;
  return `Add about ${count(tokens)} tokens of ${names} from ${sources}${effect}.${rest}`;
}

/** Languages, sources and channels named in a sentence. */
const NAMED = 4;

function missingGroups({ failures }: Coverage): string[] {
  const names = failures.flatMap((failure) =>
    failure.kind === 'language'
      ? [languageName(plain(failure.language))]
      : failure.kind === 'channel'
        ? [`text in the channel ${failure.channel}`]
        : [],
  );
  const lengths = failures.some(({ kind }) => kind === 'length') ? ['Take longer sequences.'] : [];
  return [...(names.length === 0 ? [] : [`Add ${listing(names)}.`]), ...lengths];
}

/** What the mix itself tells about its hungry cells. */
function feederSentences(coverage: Coverage, fixes: FixList | undefined): string[] {
  const { languages, saturation, summary, imported } = coverage;
  const spoken = Object.keys(languages);
  const sentences: string[] = [];
  if (spoken.length === 1) {
    sentences.push(`All of the text is ${languageName(plain(spoken[0]!))}: experts that serve other languages starve.`);
  } else if (fixes === undefined) {
    const feeders = feedingLanguages(coverage).slice(0, 3);
    const names = listing(feeders.map(({ language }) => languageName(plain(language))));
    const reach = feeders.length === 1 ? 'reaches' : 'reach';
    if (feeders.length > 0) {
      sentences.push(`Of the languages in the mix, ${names} ${reach} the hungry cells most, token for token.`);
    }
  }
  if (summary.empty > 0) sentences.push('A cell that got nothing needs text of a kind that this mix does not have.');
  else if (saturation?.moreTokens != null && saturation.moreTokens > 0) {
    sentences.push(`More of the same mix would take about ${count(saturation.moreTokens)} tokens.`);
  }
  if (fixes === undefined && imported === undefined)
    sentences.push('--suggest POOL names rows that would close the gaps.');
  return sentences;
}
