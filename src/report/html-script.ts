/**
 * The page's own script: heat maps on canvas with pointer, touch and keyboard. Everything else of the report is plain
 * markup and reads without it. It only ever writes text, never markup.
 */
export const PAGE_SCRIPT = String.raw`
'use strict';
(async () => {
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

  const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  const rampColor = (ramp, part) => {
    const place = Math.min(1, Math.max(0, part)) * (ramp.length - 1);
    const low = Math.min(ramp.length - 2, Math.floor(place));
    const mix = (i) => Math.round(channel(ramp[low], i) + (channel(ramp[low + 1], i) - channel(ramp[low], i)) * (place - low));
    return 'rgb(' + mix(0) + ' ' + mix(1) + ' ' + mix(2) + ')';
  };

  /** Colour, mark and legend for a table of values. */
  const scales = {
    floor(max) {
      const floor = page.floor;
      return {
        color: (v) => v === 0 && floor > 0 ? palette.empty
          : v < floor ? rampColor(palette.under, Math.log(v) / Math.log(Math.max(2, floor)))
          : rampColor(palette.fed, max <= floor ? 1 : Math.log(v / Math.max(1, floor)) / Math.log(max / Math.max(1, floor))),
        mark: (v) => v >= floor ? null : v === 0 ? 'cross' : 'dot',
        legend: () => [
          [[palette.empty, palette.empty], 'none', 'cross'],
          [palette.under, 'under the floor of ' + number.format(floor), 'dot'],
          [palette.fed, number.format(floor) + ' to ' + number.format(Math.max(floor, max))],
        ],
        format: (v) => number.format(v),
      };
    },
    log(max) {
      return {
        color: (v) => v === 0 ? palette.none : rampColor(palette.fed, max <= 1 ? 1 : Math.log(v) / Math.log(max)),
        mark: () => null,
        legend: () => [[[palette.none, palette.none], 'none'], [palette.fed, 'up to ' + number.format(max)]],
        format: (v) => number.format(v),
      };
    },
    share() {
      return {
        color: (v) => rampColor(palette.error, v),
        mark: () => null,
        legend: () => [[palette.error, '0 to 100 %']],
        format: percent,
      };
    },
    error(max) {
      return {
        color: (v) => rampColor(palette.error, max === 0 ? 0 : v / max),
        mark: () => null,
        legend: () => [[palette.error, '0 to ' + percent(max)]],
        format: percent,
      };
    },
  };

  /** A heat map in a figure: canvas, legend, and a line of text that tells of the cell at hand. */
  const heatMap = (figure) => {
    const canvas = figure.querySelector('canvas');
    const readout = figure.querySelector('output');
    const legend = figure.querySelector('.legend');
    const pen = canvas.getContext('2d');
    let view = null;
    let at = null;
    let box = null;

    const layOut = () => {
      const room = canvas.parentElement.clientWidth;
      pen.font = '11px system-ui, sans-serif';
      const gutter = 8 + Math.max(...view.rows.map((label) => pen.measureText(label).width));
      const columns = Math.max(1, view.columns.length);
      const width = Math.min(40, Math.max(view.columns.length > 128 ? 2 : 5, Math.floor((room - gutter) / columns)));
      const height = view.rows.length <= 16 ? 24 : view.rows.length <= 48 ? 15 : 9;
      box = { gutter, width, height, gap: width > 6 ? 1 : 0 };
      const [w, h] = [gutter + width * columns, height * view.rows.length + 18];
      const density = devicePixelRatio || 1;
      canvas.style.width = w + 'px';
      canvas.style.height = h + 'px';
      canvas.width = Math.round(w * density);
      canvas.height = Math.round(h * density);
      pen.setTransform(density, 0, 0, density, 0, 0);
    };

    const drawMark = (kind, x, y) => {
      const r = Math.min(box.width, box.height) / 5;
      const [cx, cy] = [x + box.width / 2, y + box.height / 2];
      pen.fillStyle = pen.strokeStyle = palette.mark;
      pen.beginPath();
      if (kind === 'dot') {
        pen.arc(cx, cy, r * 0.8, 0, 7);
        pen.fill();
        return;
      }
      pen.lineWidth = 1.5;
      pen.moveTo(cx - r, cy - r);
      pen.lineTo(cx + r, cy + r);
      pen.moveTo(cx + r, cy - r);
      pen.lineTo(cx - r, cy + r);
      pen.stroke();
    };

    const draw = () => {
      if (view === null) return;
      layOut();
      const { gutter, width, height, gap } = box;
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.font = '11px system-ui, sans-serif';
      pen.textBaseline = 'middle';
      const rowStep = Math.ceil(13 / height);
      view.rows.forEach((label, r) => {
        if (r % rowStep > 0) return;
        pen.fillStyle = palette.faint;
        pen.textAlign = 'right';
        pen.fillText(label, gutter - 5, r * height + height / 2);
      });
      view.rows.forEach((_, r) => {
        for (let c = 0; c < view.columns.length; c++) {
          const value = view.value(r, c);
          if (value === null) continue;
          const [x, y] = [gutter + c * width, r * height];
          pen.fillStyle = view.scale.color(value);
          pen.fillRect(x, y, width - gap, height - (height > 6 ? 1 : 0));
          const mark = view.scale.mark(value);
          if (mark !== null && width >= 6) drawMark(mark, x, y);
        }
      });
      const step = [1, 2, 4, 8, 16, 32, 64, 128].find((s) => s * width >= 34) || 256;
      pen.fillStyle = palette.faint;
      pen.textAlign = 'center';
      for (let c = 0; c < view.columns.length; c += step) {
        const half = pen.measureText(view.columns[c]).width / 2;
        const x = Math.min(canvas.clientWidth - half, gutter + c * width + width / 2);
        pen.fillText(view.columns[c], x, view.rows.length * height + 10);
      }
      if (at !== null) {
        pen.strokeStyle = palette.ink;
        pen.lineWidth = 2;
        pen.strokeRect(gutter + at[1] * width - 1, at[0] * height - 1, width + 2 - gap, height + 1);
      }
      legend.replaceChildren(...view.scale.legend().map(([ramp, text, mark]) => {
        const item = document.createElement('span');
        const swatch = document.createElement('i');
        swatch.style.background = 'linear-gradient(90deg,' + ramp.join(',') + ')';
        swatch.style.color = palette.mark;
        swatch.textContent = mark === 'cross' ? '×' : mark === 'dot' ? '•' : '';
        item.append(swatch, text);
        return item;
      }));
    };

    const select = (r, c, chosen) => {
      if (view === null || view.value(r, c) === null) return;
      at = [r, c];
      readout.textContent = view.describe(r, c);
      draw();
      if (chosen && view.choose) view.choose(r, c);
    };
    const cellUnder = (event) => {
      const area = canvas.getBoundingClientRect();
      const r = Math.floor((event.clientY - area.top) / box.height);
      const c = Math.floor((event.clientX - area.left - box.gutter) / box.width);
      return r >= 0 && c >= 0 && r < view.rows.length && c < view.columns.length ? [r, c] : null;
    };
    canvas.addEventListener('pointermove', (event) => {
      const cell = view && cellUnder(event);
      if (cell && event.pointerType === 'mouse' && (at === null || cell[0] !== at[0] || cell[1] !== at[1])) select(cell[0], cell[1], false);
    });
    canvas.addEventListener('click', (event) => {
      const cell = view && cellUnder(event);
      if (cell) select(cell[0], cell[1], true);
    });
    canvas.addEventListener('keydown', (event) => {
      if (view === null) return;
      const [r, c] = at || [0, 0];
      const [lastRow, lastColumn] = [view.rows.length - 1, view.columns.length - 1];
      const moves = {
        ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c],
        Home: [r, 0], End: [r, lastColumn], PageUp: [0, c], PageDown: [lastRow, c], Enter: [r, c],
      };
      const to = at === null ? [0, 0] : moves[event.key];
      if (!to || !(event.key in moves)) return;
      event.preventDefault();
      select(Math.min(lastRow, Math.max(0, to[0])), Math.min(lastColumn, Math.max(0, to[1])), event.key === 'Enter');
    });
    new ResizeObserver(draw).observe(canvas.parentElement);
    return { show(next) { view = next; at = null; readout.textContent = next.hint; draw(); }, draw, select };
  };

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
    const describe = (l, e) => {
      const cell = firstCell[l] + e;
      const routed = tables[0][cell];
      const floorText = routed < page.floor ? ' (under the floor of ' + number.format(page.floor) + ')' : '';
      const rest = page.metrics.slice(1).map((metric, i) => {
        const value = tables[i + 1][cell] / metric.parts;
        return metric.label + ' ' + scales[metric.scale](1).format(value);
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
        value: (l, e) => e < page.layers[l][1] ? values[firstCell[l] + e] / metric.parts : null,
        scale: scales[metric.scale](most(values) / metric.parts),
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
      map.select(l, e, true);
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
      scale: scales.error(most(values) / parts),
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
})();
`;
