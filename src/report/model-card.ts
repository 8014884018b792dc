import { basename } from 'node:path';
import type { QuantizeRecipe } from '../recipe/recipe.js';
import { renderMarkdown } from './markdown.js';
import type { ReportData } from './report-data.js';

export interface ModelCard {
  /** Hub id of the original, or its folder. */
  readonly baseModel: string;
  readonly quantize: QuantizeRecipe;
  readonly version: string;
  readonly data: ReportData;
}

/** README.md of a checkpoint: the Hub's front matter, how it was made, and the calibration's own report. */
export function renderModelCard({ baseModel, quantize, version, data }: ModelCard): string {
  const isHubId = /^[\w.-]+\/[\w.-]+$/u.test(baseModel);
  const name = isHubId ? baseModel : basename(baseModel);
  const { bits, symmetric, groupSize } = quantize.scheme;
  const scheme = `${bits}-bit weights, ${symmetric ? 'symmetric' : 'asymmetric'}, ${groupSize === 'channel' ? 'one scale per channel' : `groups of ${groupSize}`}`;
  const languages = Object.keys(data.coverage.languages)
    .filter((language) => /^[a-z]{2,3}$/u.test(language))
    .sort();
  const lines = [
    '---',
    ...(isHubId ? [`base_model: ${baseModel}`, 'base_model_relation: quantized'] : []),
    'library_name: transformers',
    `tags: [evenkeel, awq, ${quantize.format}, w${bits}a16]`,
    ...(languages.length === 0
      ? []
      : [`language: [${languages.map((language) => JSON.stringify(language)).join(', ')}]`]),
    '---',
    '',
    `# ${name}, ${bits} bits`,
    '',
    `Quantized with [Evenkeel](https://www.npmjs.com/package/evenkeel) ${version}: ${scheme}, \`${quantize.format}\`. ` +
      `Calibrated on ${data.coverage.tokens.toLocaleString('en-US')} tokens in ${languages.length} languages.`,
    '',
    renderMarkdown(data),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
