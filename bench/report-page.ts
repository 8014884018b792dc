/**
 * Opens a report in headless Chromium, from file://, at the width of a phone and of a desk, light, dark and printed: the
 * script must come to its end, no map may stay empty, nothing may stick out sideways. Leaves
 * a picture of each. Run: node --import tsx bench/report-page.ts [OUTPUT_FOLDER] [report.html] (needs `chromium`)
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { renderHtml } from '../src/report/html.js';
import { sampleCoverage, sampleEvaluation, sampleFixes, sampleQuantization } from '../test/report/sample-data.js';
import { openTab } from './chromium.js';

const [, , output = 'out/report-page', given] = process.argv;
mkdirSync(output, { recursive: true });
const page = given === undefined ? samplePage() : resolve(given);
const tab = await openTab();
try {
  for (const width of [400, 1280]) {
    for (const theme of ['light', 'dark']) await photograph(width, theme, `${width}-${theme}`);
  }
  const { data } = await tab.send('Page.printToPDF', { printBackground: true });
  const pdf = join(output, 'report.pdf');
  writeFileSync(pdf, Buffer.from(data as string, 'base64'));
  console.log(pdf);
} finally {
  await tab.close();
}

async function photograph(width: number, theme: string, name: string): Promise<void> {
  await tab.send('Emulation.setDeviceMetricsOverride', {
    width,
    height: 900,
    deviceScaleFactor: width < 600 ? 2 : 1,
    mobile: width < 600,
  });
  await tab.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: theme }] });
  await tab.send('Page.navigate', { url: pathToFileURL(page).href });
  const ready = `new Promise((done) => {
    const look = () => document.documentElement?.dataset.ready === 'yes' ? done(true) : setTimeout(look, 20);
    look();
    setTimeout(() => done(false), 10000);
  })`;
  if ((await tab.evaluate(ready)) !== true) throw new Error(`the script of '${page}' did not come to its end`);
  const empty = await tab.evaluate(
    `[...document.querySelectorAll('figure.map output')].filter((o) => o.textContent === '').length`,
  );
  if (empty !== 0) throw new Error(`${String(empty)} heat maps of '${page}' stayed empty`);
  const wide = await tab.evaluate('document.documentElement.scrollWidth - innerWidth');
  if (Number(wide) > 0) throw new Error(`at ${width} pixels, '${page}' sticks out by ${String(wide)}`);
  for (const [part, captureBeyondViewport] of [
    ['', true],
    ['-first', false],
  ] as const) {
    const { data } = await tab.send('Page.captureScreenshot', { captureBeyondViewport });
    const path = join(output, `report-${name}${part}.png`);
    writeFileSync(path, Buffer.from(data as string, 'base64'));
    console.log(path);
  }
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
