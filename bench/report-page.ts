/**
 * Opens a report in headless Chromium, from file://: the script must come to its end, and the page is photographed at two
 * widths. Run: node --import tsx bench/report-page.ts OUTPUT_FOLDER [report.html] (needs `chromium` on the path)
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { renderHtml } from '../src/report/html.js';
import { sampleCoverage, sampleEvaluation, sampleFixes, sampleQuantization } from '../test/report/sample-data.js';

const [, , output = 'out/report-page', given] = process.argv;
mkdirSync(output, { recursive: true });
const page = given === undefined ? samplePage() : resolve(given);
const dom = chromium('--dump-dom').stdout;
if (!/<html[^>]* data-ready="yes"/.test(dom)) throw new Error(`the script of '${page}' did not come to its end`);
if (/<output[^>]*><\/output>/.test(dom)) throw new Error(`a heat map of '${page}' stayed empty`);
for (const [width, height] of [
  [1200, 3600],
  [500, 5000],
] as const) {
  const path = join(resolve(output), `report-${width}.png`);
  chromium(`--window-size=${width},${height}`, `--screenshot=${path}`, '--hide-scrollbars');
  console.log(path);
}

function samplePage(): string {
  const languages = ['el', 'en', 'ka', 'de', 'zh-Hans', 'ja'];
  const coverage = sampleCoverage({ layers: 4, experts: 32, topK: 4, languages, sequences: 24 });
  const path = join(resolve(output), 'report.html');
  const html = renderHtml({
    coverage,
    fixes: sampleFixes(coverage),
    evaluation: sampleEvaluation(languages, 0.05),
    baselineEvaluation: sampleEvaluation(languages, 0.08),
    quantization: sampleQuantization(coverage),
  });
  writeFileSync(path, html);
  return path;
}

function chromium(...flags: string[]) {
  const profile = mkdtempSync(join(tmpdir(), 'evenkeel-chromium-'));
  try {
    const run = spawnSync(
      'chromium',
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--virtual-time-budget=5000',
        `--user-data-dir=${profile}`,
        ...flags,
        `file://${page}`,
      ],
      { encoding: 'utf8', maxBuffer: 2 ** 28 },
    );
    if (run.status !== 0)
      throw new Error(`chromium ended with ${run.status ?? String(run.error)}: ${run.stderr.slice(-500)}`);
    return run;
  } finally {
    rmSync(profile, { recursive: true, force: true });
  }
}
