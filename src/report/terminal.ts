import { languageTable } from '../coverage/verdict.js';
import { balanceSentences } from './balance-sentences.js';
import type { ReportData } from './report-data.js';
import {
  balanceSentence,
  estimateSentence,
  evaluationSentence,
  fragileSentence,
  saturationSentence,
  smoothingSentence,
  stabilitySentence,
  subjectSentence,
} from './sentences.js';
import { sparkline, terminalHeatmap, type CellMark } from './terminal-heatmap.js';
import { evaluationLines, fixLines, languageLines, worstLines } from './terminal-sections.js';
import { displayWidth, shorten } from './terminal-table.js';
import { percent, plain, plural } from './text.js';
import { unroutedSentence } from './unrouted.js';
import { adviceOf, verdictSentence } from './verdict-sentences.js';

/** Experts without a token that a terminal names; evenkeel.json and the HTML report name all. */
const UNROUTED_NAMED = 24;

export interface TerminalOptions {
  /** Columns of the terminal. */
  readonly width?: number;
  readonly color?: boolean;
  /** Rows of the tables; null for all. */
  readonly rows?: number | null;
  /** What was written where, shown last: label → path. */
  readonly paths?: Readonly<Record<string, string>>;
}

/** The report as text for a terminal: verdict first, then tokens, cells, quality, and where the files are. */
export function renderTerminal(data: ReportData, options: TerminalOptions = {}): string {
  const { width = 100, color = false, rows = 24, paths = {} } = options;
  const { coverage, evaluation, baselineEvaluation, quantization, fixes } = data;
  const paint = (style: Style, text: string): string => (color ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text);
  const heading = (text: string): string => paint('bold', text);
  const sections = [verdictLines(data, width, paint)];
  if (fixes !== undefined && fixes.cells.length + fixes.languages.length > 0) {
    sections.push([heading('What would close the gaps'), ...fixLines(fixes, rows, width)]);
  }
  if (data.balance !== undefined) {
    sections.push([
      heading('How the rows were chosen'),
      ...balanceSentences(data.balance).flatMap((sentence) => wrap(sentence, width)),
    ]);
  }
  const languages = languageTable(coverage);
  if (languages.length > 0) {
    sections.push([heading('Tokens by language'), ...languageLines(languages, coverage, rows, width)]);
  }
  if (coverage.layers.length > 0) {
    const map = terminalHeatmap(coverage, width);
    sections.push([
      heading('Routed tokens, layer × expert'),
      ...map.lines.map(({ label, marks }) => `${label}  ${marks.map((mark) => paintMark(mark, paint)).join('')}`),
      ...wrap(map.legend, width),
    ]);
    const points = coverage.saturation?.points ?? [];
    const spark = sparkline(points.map(({ atFloor }) => atFloor / Math.max(1, coverage.summary.cells)));
    const sentences = [
      fragileSentence(coverage),
      balanceSentence(coverage),
      data.stability === undefined ? null : stabilitySentence(data.stability),
    ].filter((sentence) => sentence !== null);
    sections.push([
      ...wrap(`${points.length < 2 ? '' : `${spark}  `}${saturationSentence(coverage)}`, width),
      ...sentences.flatMap((sentence) => wrap(sentence, width)),
    ]);
    sections.push([heading('Least-fed cells'), ...worstLines(coverage, width)]);
  }
  if (quantization !== undefined) sections.push(quantizationLines(quantization, heading, width));
  if (evaluation !== undefined) {
    sections.push([
      heading('Quality on held-out text'),
      ...wrap(evaluationSentence(evaluation, baselineEvaluation), width),
      ...evaluationLines(evaluation, baselineEvaluation, rows, width),
    ]);
  }
  const labels = Object.keys(paths);
  const labelWidth = Math.max(0, ...labels.map((label) => label.length));
  sections.push(labels.map((label) => `${label.padEnd(labelWidth)}  ${plain(paths[label]!)}`));
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

const STYLES = { bold: '1', red: '31', yellow: '33', green: '32', dim: '2' } as const;
type Style = keyof typeof STYLES;
type Paint = (style: Style, text: string) => string;

function paintMark({ mark, kind }: CellMark, paint: Paint): string {
  return kind === 'fed' ? mark : paint(kind === 'empty' ? 'red' : 'yellow', mark);
}

function verdictLines(data: ReportData, width: number, paint: Paint): string[] {
  const { coverage } = data;
  const { verdict, model } = coverage;
  const advice = adviceOf(data).flatMap(({ label, text }) =>
    hanging(label.padEnd(LABEL_WIDTH), text, width, 'bold', paint),
  );
  return [
    ...hanging(
      verdict.toUpperCase().padEnd(LABEL_WIDTH),
      verdictSentence(coverage),
      width,
      verdict === 'pass' ? 'green' : 'red',
      paint,
    ),
    ...advice,
    '',
    shorten(plain(`${model.architecture}  ${model.path}`), width),
    ...wrap(`${subjectSentence(coverage)}.`, width),
    ...optional(estimateSentence(coverage), width),
  ];
}

/** Columns of `FAIL`, `Why`, … with the space behind. */
const LABEL_WIDTH = 6;

/** A label, and beside it a text that keeps to its own margin. */
function hanging(label: string, text: string, width: number, style: Style, paint: Paint): string[] {
  const lines = wrap(text, width - label.length);
  return lines.map(
    (line, i) =>
      (i === 0
        ? paint(style, label.trimEnd()) + ' '.repeat(label.length - label.trimEnd().length)
        : ' '.repeat(label.length)) + line,
  );
}

function optional(sentence: string | null, width: number): string[] {
  return sentence === null ? [] : wrap(sentence, width);
}

function quantizationLines(
  { scheme, format, edges, cells }: NonNullable<ReportData['quantization']>,
  heading: (text: string) => string,
  width: number,
): string[] {
  // Without statistics an error is one of weights, which does not compare.
  const measured = cells.filter(({ tokens, shrinkageWeight }) => tokens > 0 || shrinkageWeight > 0);
  const worst = measured.toSorted((a, b) => b.relativeError - a.relativeError)[0];
  const unrouted = unroutedSentence(cells, UNROUTED_NAMED);
  return [
    heading(`Quantized: ${plain(scheme)}, ${plain(format)}`),
    ...wrap(
      smoothingSentence(edges) +
        (worst === undefined
          ? ''
          : ` Largest error of a cell: ${percent(worst.relativeError)} of its output, layer ${worst.layer} ` +
            `expert ${worst.expert} (${plural(worst.tokens, 'token')}).`),
      width,
    ),
    ...(unrouted === null ? [] : wrap(unrouted, width)),
  ];
}

/** Breaks a sentence at spaces. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = '';
    }
    line += (line === '' ? '' : ' ') + word;
  }
  return [...lines, line];
}
