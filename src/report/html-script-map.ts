/**
 * Part of the page's script: colours, and heat maps on canvas with pointer, touch and keyboard. Reads `page` and `palette`
 * of the part around it. It only ever writes text, never markup.
 */
export const MAP_SCRIPT = String.raw`
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
    error(max, min) {
      return {
        color: (v) => rampColor(palette.error, max <= min ? 0 : (v - min) / (max - min)),
        mark: () => null,
        legend: () => [[palette.error, percent(min) + ' to ' + percent(max)]],
        format: percent,
      };
    },
  };

  /** Room above the first row, so that its label is not cut. */
  const TOP = 4;

  /** A heat map in a figure: canvas, legend, and a line of text that tells of the cell at hand. */
  const heatMap = (figure) => {
    const canvas = figure.querySelector('canvas');
    const readout = figure.querySelector('output');
    const legend = figure.querySelector('.legend');
    const base = document.createElement('canvas');
    const screen = canvas.getContext('2d');
    const pen = base.getContext('2d');
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
      const [w, h] = [gutter + width * columns, TOP + height * view.rows.length + 18];
      const density = devicePixelRatio || 1;
      canvas.style.width = w + 'px';
      canvas.style.height = h + 'px';
      canvas.width = base.width = Math.round(w * density);
      canvas.height = base.height = Math.round(h * density);
      pen.setTransform(density, 0, 0, density, 0, 0);
      screen.setTransform(density, 0, 0, density, 0, 0);
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
      pen.font = '11px system-ui, sans-serif';
      pen.textBaseline = 'middle';
      const rowStep = Math.ceil(13 / height);
      view.rows.forEach((label, r) => {
        if (r % rowStep > 0) return;
        pen.fillStyle = palette.faint;
        pen.textAlign = 'right';
        pen.fillText(label, gutter - 5, TOP + r * height + height / 2);
      });
      view.rows.forEach((_, r) => {
        for (let c = 0; c < view.columns.length; c++) {
          const value = view.value(r, c);
          if (value === null) continue;
          const [x, y] = [gutter + c * width, TOP + r * height];
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
        const x = Math.min(gutter + width * view.columns.length - half, gutter + c * width + width / 2);
        pen.fillText(view.columns[c], x, TOP + view.rows.length * height + 10);
      }
      drawCursor();
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

    /** Moving about redraws one frame, not tens of thousands of cells. */
    const drawCursor = () => {
      const density = devicePixelRatio || 1;
      screen.clearRect(0, 0, canvas.width, canvas.height);
      screen.drawImage(base, 0, 0, base.width / density, base.height / density);
      if (at === null) return;
      screen.strokeStyle = palette.ink;
      screen.lineWidth = 2;
      screen.strokeRect(box.gutter + at[1] * box.width - 1, TOP + at[0] * box.height - 1, box.width + 2 - box.gap, box.height + 1);
    };

    const select = (r, c, chosen) => {
      if (view === null || view.value(r, c) === null) return;
      at = [r, c];
      readout.textContent = view.describe(r, c);
      drawCursor();
      if (chosen && view.choose) view.choose(r, c);
    };
    const cellUnder = (event) => {
      const area = canvas.getBoundingClientRect();
      const r = Math.floor((event.clientY - area.top - TOP) / box.height);
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

`;
