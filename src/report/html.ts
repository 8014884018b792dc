import { languageTable } from '../coverage/verdict.js';
import { balanceSection } from './html-balance.js';
import { escapeHtml, embedJson } from './html-escape.js';
import { expertSection, weaknessSection } from './html-experts.js';
import { fixSection } from './html-fixes.js';
import { languageSection, verdictBlock } from './html-summary.js';
import { evaluationSection, provenanceSection, quantizationSection } from './html-quality.js';
import { PAGE_SCRIPT } from './html-script.js';
import { PAGE_STYLE } from './html-style.js';
import { pageData } from './page-data.js';
import type { ReportData } from './report-data.js';

/** Nothing is fetched, not even by mistake. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** The report as one HTML file that needs no network, works from file:// and prints. */
export function renderHtml(data: ReportData): string {
  const { coverage, evaluation, baselineEvaluation, quantization, fixes, balance, manifest } = data;
  const hasExperts = coverage.layers.length > 0;
  const hasLanguages = languageTable(coverage).length > 0;
  const hasFixes = fixes !== undefined && fixes.cells.length + fixes.languages.length > 0;
  const links = [
    ...(hasFixes ? [['fixes', 'What to add']] : []),
    ...(hasExperts ? [['experts', 'Experts']] : []),
    ...(hasLanguages ? [['languages', 'Languages']] : []),
    ...(balance === undefined ? [] : [['balance', 'Balance']]),
    ...(hasExperts
      ? [
          ['saturation', 'More of the same?'],
          ['worst', 'Least-fed cells'],
        ]
      : []),
    ...(quantization === undefined ? [] : [['quantization', 'Quantization']]),
    ...(evaluation === undefined ? [] : [['quality', 'Quality']]),
    ['provenance', 'Provenance'],
  ];
  const title = `${coverage.verdict === 'pass' ? 'Pass' : 'Fail'}: calibration audit of ${coverage.model.architecture}`;
  const parts = [
    hasFixes ? fixSection(fixes) : '',
    hasExperts ? expertSection(data) : '',
    hasLanguages ? languageSection(coverage) : '',
    balance === undefined ? '' : balanceSection(balance),
    hasExperts ? weaknessSection(data) : '',
    quantization === undefined ? '' : quantizationSection(quantization),
    evaluation === undefined ? '' : evaluationSection(evaluation, baselineEvaluation),
    provenanceSection(manifest),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escapeHtml(title)}</title><style>${PAGE_STYLE}</style></head>
<body><a class="skip" href="#main">Skip the summary</a>
<header><h1>Calibration audit · ${escapeHtml(coverage.model.architecture)} · ${escapeHtml(coverage.model.path)}</h1>
${verdictBlock(data)}
<nav aria-label="Sections"><ul>${links.map(([id, text]) => `<li><a href="#${id}">${text}</a></li>`).join('')}</ul></nav></header>
<main id="main">${parts.filter((part) => part !== '').join('\n')}</main>
<footer>Made by Evenkeel. The same facts for programs: coverage.json. A cell is one expert of one layer; routed tokens are those
that the model’s own router sends to it.</footer>
<script type="application/json" id="page-data">${embedJson(pageData(data))}</script>
<script>${PAGE_SCRIPT}</script></body></html>
`;
}
