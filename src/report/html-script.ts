import { MAP_SCRIPT } from './html-script-map.js';

/** Reads the page's data: see `pageData` for the form it travels in. */
const DATA_SCRIPT = String.raw`
  const page = JSON.parse(document.getElementById('page-data').textContent);
  const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 });
  const percent = (part) => (part * 100).toFixed(1) + ' %';
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let palette = page.palettes[dark.matches ? 'dark' : 'light'];

  const unpack = async () => {
    const bytes = Uint8Array.from(atob(page.packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    const raw = new Uint8Array(await new Response(stream).arrayBuffer());
    let at = 0;
    return page.lengths.map((length) => {
      const table = new Float64Array(length);
      for (let i = 0; i < length; i++) {
        let [value, factor, byte] = [0, 1, 0];
        do {
          byte = raw[at++];
          value += (byte & 0x7f) * factor;
          factor *= 128;
        } while (byte >= 0x80);
        table[i] = value;
      }
      return table;
    });
  };

`;

/** Fills the maps and their controls. Everything else of the report is plain markup and reads without a script. */
const CONTROL_SCRIPT = String.raw`
  if (!('DecompressionStream' in window)) {
    for (const line of document.querySelectorAll('figure.map output')) line.textContent = 'This map needs a browser of 2023 or later; the tables hold the same facts.';
    return;
  }
  const tables = await unpack();
  const maps = [];
  const firstCell = [];
  let cells = 0;
  for (const [, experts] of page.layers) {
    firstCell.push(cells);
    cells += experts;
  }
  const languageTables = tables.slice(page.metrics.length, page.metrics.length + page.languages.length);
  const most = (values) => values.reduce((max, value) => Math.max(max, value), 0);
  const least = (values) => values.reduce((min, value) => Math.min(min, value), Infinity);
  const experts = Math.max(0, ...page.layers.map(([, count]) => count));
  const expertNames = Array.from({ length: experts }, (_, e) => String(e));
  const topLanguages = (cell) => page.languages
    .map(([, name], i) => [name, languageTables[i][cell]])
    .filter(([, tokens]) => tokens > 0)
    .sort((a, b) => b[1] - a[1]);

  const cellFigure = document.getElementById('cell-map');
  if (cellFigure) {
    const map = heatMap(cellFigure);
    maps.push(map);
    const choice = document.getElementById('cell-metric');
    const layerChoice = document.getElementById('language-layer');
    const sorted = document.getElementById('cell-sort');
    const byTokens = page.layers.map(([, count], l) => Array.from({ length: count }, (_, e) => e)
      .sort((a, b) => tables[0][firstCell[l] + b] - tables[0][firstCell[l] + a] || a - b));
    const expertAt = (l, c) => sorted.checked ? byTokens[l][c] : c;
    const describe = (l, c) => {
      const e = expertAt(l, c);
      const cell = firstCell[l] + e;
      const routed = tables[0][cell];
      const floorText = routed < page.floor ? ' (under the floor of ' + number.format(page.floor) + ')' : '';
      const rest = page.metrics.slice(1).map((metric, i) => {
        const value = tables[i + 1][cell] / metric.parts;
        return metric.label + ' ' + scales[metric.scale](1, 0).format(value);
      });
      const feeders = topLanguages(cell);
      const shown = feeders.slice(0, 5).map(([name, tokens]) => name + ' ' + number.format(tokens));
      const more = feeders.length > 5 ? ' and ' + (feeders.length - 5) + ' more' : '';
      return 'Layer ' + page.layers[l][0] + ', expert ' + e + ': ' + number.format(routed) + ' routed tokens' + floorText +
        rest.map((text) => '; ' + text).join('') + '.' + (shown.length ? ' Fed by ' + shown.join(', ') + more + '.' : '');
    };
    const show = () => {
      const [kind, index] = choice.value.split(':');
      const i = Number(index);
      const metric = kind === 'metric' ? page.metrics[i] : { scale: 'log', parts: 1, label: 'routed tokens' };
      const values = kind === 'metric' ? tables[i] : languageTables[i];
      map.show({
        rows: page.layers.map(([layer]) => 'layer ' + layer),
        columns: expertNames,
        value: (l, c) => c < page.layers[l][1] ? values[firstCell[l] + expertAt(l, c)] / metric.parts : null,
        scale: scales[metric.scale](most(values) / metric.parts, least(values) / metric.parts),
        describe,
        hint: 'Point at a cell, or focus the map and use the arrow keys.',
        choose: (l) => {
          if (layerChoice === null) return;
          layerChoice.value = String(l);
          layerChoice.dispatchEvent(new Event('change'));
        },
      });
    };
    choice.addEventListener('change', show);
    sorted.addEventListener('change', show);
    show();
    const next = document.getElementById('next-under');
    const hungry = [];
    page.layers.forEach(([, count], l) => {
      for (let e = 0; e < count; e++) if (tables[0][firstCell[l] + e] < page.floor) hungry.push([l, e]);
    });
    let turn = 0;
    next.hidden = hungry.length === 0;
    next.addEventListener('click', () => {
      const [l, e] = hungry[turn++ % hungry.length];
      map.select(l, sorted.checked ? byTokens[l].indexOf(e) : e, true);
    });

    const languageFigure = document.getElementById('language-map');
    const languageMap = languageFigure && heatMap(languageFigure);
    if (languageMap) maps.push(languageMap);
    const showLayer = () => {
      const l = Number(layerChoice.value);
      const [layer, count] = page.layers[l];
      const row = languageTables.map((values) => values.subarray(firstCell[l], firstCell[l] + count));
      languageMap.show({
        rows: page.languages.map(([tag]) => tag),
        columns: expertNames.slice(0, count),
        value: (r, e) => row[r][e],
        scale: scales.log(Math.max(0, ...row.map(most))),
        describe: (r, e) => page.languages[r][1] + ' sends ' + number.format(row[r][e]) + ' tokens to expert ' + e + ' of layer ' + layer +
          ', of ' + number.format(tables[0][firstCell[l] + e]) + ' that it gets in all.',
        hint: 'Layer ' + layer + ': point at a cell, or focus the map and use the arrow keys.',
      });
    };
    if (languageMap) {
      layerChoice.addEventListener('change', showLayer);
      showLayer();
    }
  }

  const errorFigure = document.getElementById('error-map');
  if (errorFigure && page.errors) {
    const map = heatMap(errorFigure);
    maps.push(map);
    const { languages, layers, parts } = page.errors;
    const values = tables[tables.length - 1];
    map.show({
      rows: languages.map(([tag]) => tag),
      columns: layers.map(String),
      value: (r, l) => values[r * layers.length + l] / parts,
      scale: scales.error(most(values) / parts, least(values) / parts),
      describe: (r, l) => languages[r][1] + ' loses ' + percent(values[r * layers.length + l] / parts) + ' of the output of layer ' + layers[l] + '.',
      hint: 'Point at a cell, or focus the map and use the arrow keys.',
    });
  }

  const repaint = (name) => {
    palette = page.palettes[name];
    for (const map of maps) map.draw();
  };
  dark.addEventListener('change', () => repaint(dark.matches ? 'dark' : 'light'));
  addEventListener('beforeprint', () => {
    repaint('light');
    for (const details of document.querySelectorAll('details')) details.open = true;
  });
  addEventListener('afterprint', () => repaint(dark.matches ? 'dark' : 'light'));
  const copy = document.getElementById('copy-patch');
  copy?.addEventListener('click', async () => {
    const patch = document.getElementById('recipe-patch');
    getSelection().selectAllChildren(patch);
    try {
      await navigator.clipboard.writeText(patch.textContent);
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Selected: press Ctrl+C';
    }
  });
  document.documentElement.dataset.ready = 'yes';
`;

export const PAGE_SCRIPT = `'use strict';\n(async () => {${DATA_SCRIPT}${MAP_SCRIPT}${CONTROL_SCRIPT}})();\n`;
