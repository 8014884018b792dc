import { readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { beforeAll, expect, it } from 'vitest';
import type { Sample } from '../../src/data/sample.js';
import { degenerate, repeatedShare } from '../../src/mix/degenerate.js';
import { normalizeForComparison } from '../../src/mix/fold.js';
import { signatureOf, similarity } from '../../src/mix/minhash.js';
import { sampleText, wholeText } from '../../src/mix/sample-text.js';
import { findSecrets } from '../../src/mix/secrets.js';
import { agrees, identifyLanguage } from '../../src/text/language.js';
import { codeOf, detect, DETECTORS } from './detectors.js';
import { DISAGREEMENTS, type Disagreement } from './disagreements.js';
import { compiledPath, reasoningText, recordOf, rowsOf, samplesOf, SET_NAMES, spokenText } from './shipped.js';

let samples: Sample[];

beforeAll(async () => {
  samples = (await Promise.all(SET_NAMES.map(samplesOf))).flat();
});

it('is in the language it declares, but for the disagreements that are listed and explained', () => {
  const found = samples.flatMap((sample): Omit<Disagreement, 'why'>[] => {
    const own = codeOf(sample.language ?? 'und');
    const spoken = detect(spokenText(sample));
    const reasoning = reasoningText(sample);
    const thought = reasoning === '' ? null : detect(reasoning);
    return [
      ...DETECTORS.filter((detector) => spoken[detector] !== own).map((detector) => ({
        record: recordOf(sample),
        part: 'spoken' as const,
        detector,
        found: spoken[detector],
      })),
      // Reasoning may be English whatever the dialogue is in.
      ...DETECTORS.filter((detector) => thought !== null && ![own, 'en'].includes(thought[detector])).map(
        (detector) => ({
          record: recordOf(sample),
          part: 'reasoning' as const,
          detector,
          found: thought?.[detector] ?? 'und',
        }),
      ),
    ];
  });
  expect(found).toEqual(
    DISAGREEMENTS.map(({ record, part, detector, found: as }) => ({ record, part, detector, found: as })),
  );
});

it('has no row that both detectors, or their combination, take for another language', () => {
  const places = DISAGREEMENTS.map(({ record, part }) => `${record} ${part}`);
  expect(places.filter((place, index) => places.indexOf(place) !== index)).toEqual([]);
  const mistaken = samples.filter((sample) => !agrees(sample.language ?? 'und', identifyLanguage(spokenText(sample))));
  expect(mistaken.map(recordOf)).toEqual([]);
});

it('repeats no row within or across sets and languages', () => {
  const signed = samples.map((sample) => ({
    record: recordOf(sample),
    bins: signatureOf(normalizeForComparison(sampleText(sample)))?.bins ?? new Uint8Array(),
  }));
  const alike = signed.flatMap((a, index) =>
    signed.slice(index + 1).flatMap((b) => {
      const share = similarity(a.bins, b.bins);
      return share >= MOST_ALIKE ? [`${a.record} ~ ${b.record}: ${share.toFixed(2)}`] : [];
    }),
  );
  expect(alike).toEqual([]);
});

/** Near duplicates begin at 0.85; rows written apart share hardly a shingle, agents' observations share some. */
const MOST_ALIKE = 0.25;

/** Deflated size over size of what people write: Tamil, three bytes a letter, is the lowest, short Chinese the highest. */
const LEAST_RATIO = 0.25;
const MOST_RATIO = 0.7;

/** Share of 8-grams that occurred before, in what people and the assistant write and think; terminals show their lines again. */
const MOST_REPEATED = 0.15;
const MOST_REPEATED_BY_AGENTS = 0.45;

it('compresses and repeats itself as people do', () => {
  const off = samples.flatMap((sample) => {
    const flaw = degenerate(sampleText(sample));
    const bytes = Buffer.from(sampleText(sample));
    const ratio = deflateRawSync(bytes, { level: 1 }).length / bytes.length;
    const repeated = repeatedShare(`${spokenText(sample)}\n${reasoningText(sample)}`);
    const most = sample.category?.endsWith('_agent') === true ? MOST_REPEATED_BY_AGENTS : MOST_REPEATED;
    return flaw === null && ratio > LEAST_RATIO && ratio < MOST_RATIO && repeated <= most
      ? []
      : [`${recordOf(sample)}: ${flaw ?? `ratio ${ratio.toFixed(2)}, repeated ${repeated.toFixed(2)}`}`];
  });
  expect(off).toEqual([]);
});

it('holds no secret', () => {
  const leaks = samples.flatMap((sample) =>
    findSecrets(wholeText(sample)).map((name) => `${recordOf(sample)}: ${name}`),
  );
  expect(leaks).toEqual([]);
});

it.each(SET_NAMES)('%s is NFC, without replacement or control characters', (set) => {
  const text = readFileSync(compiledPath(set, 'jsonl'), 'utf8');
  expect(text.includes('\uFFFD')).toBe(false);
  for (const row of rowsOf(set)) {
    const line = JSON.stringify(row);
    expect(line === line.normalize('NFC'), row.record_id).toBe(true);
    for (const { content, reasoning_content: reasoning } of row.messages) {
      expect(`${content ?? ''}${reasoning ?? ''}`, row.record_id).not.toMatch(/[^\P{Cc}\t\n]/u);
    }
  }
});
