// Curves over a day, by uPlot, which a page loads before this module.
// What was given rises above the line, what was taken falls below it; both sides have one scale.

import { clock, kwh, money } from "./words.js";

const HEIGHT = 260;
const PRICE_HEIGHT = 150;
const HATCH = 8;
const LABEL_PX = 56; // One label of the time axis needs about so much.
const LEAST_PART = 0.06; // Of the larger side: a side with nothing on it is still there.

/** The colours of the sheet that is in force: light, dark or with more contrast. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    ink: colour("--ink"),
    soft: colour("--soft"),
    line: colour("--line"),
    sun: colour("--sun-fill"),
    grid: colour("--grid-fill"),
    card: colour("--card"),
  };
}

/**
 * Energy given, taken and traded in each window.
 *
 * @param box      an element; its width counts
 * @param windows  [{start, end, given, taken, traded, settled}], energies in Wh or null
 * @param labels   {given, taken, traded} in the reader's language
 */
export function drawDay(box, windows, labels) {
  const paint = colours();
  const part = (field, sign, settled) => windows.map((window) =>
    window[field] === null || window.settled !== settled ? null : sign * window[field]);
  const bars = [
    ["given", 1, paint.sun, 0.55],
    ["taken", -1, paint.grid, 0.55],
    ["traded", 1, paint.sun, 1],
    ["traded", -1, paint.grid, 1],
  ].flatMap(([field, sign, colour, strength]) => [true, false].map((settled) => ({
    values: part(field, sign, settled),
    series: {
      label: labels[field],
      stroke: colour,
      width: 1,
      fill: settled ? withAlpha(colour, strength) : hatched(colour, strength),
      paths: globalThis.uPlot.paths.bars({ size: [0.92, 100], align: 1 }),
      points: { show: false },
    },
  })));
  const most = (field) => Math.max(0, ...windows.map((window) => window[field] ?? 0));
  const least = Math.max(100, most("given"), most("taken")) * LEAST_PART;
  draw(box, HEIGHT, windows, bars, {
    range: [-Math.max(least, most("taken") * 1.08), Math.max(least, most("given") * 1.08)],
    values: (_, ticks) => ticks.map((tick) => kwhLabel(Math.abs(tick))),
    label: "kWh",
    paint,
  });
}

/**
 * The neighbours' price between the grid's two.
 *
 * @param windows  [{start, end, local, gridImport, gridExport}], micro-tokens per kWh
 */
export function drawPrices(box, windows, labels) {
  const paint = colours();
  const stepped = globalThis.uPlot.paths.stepped({ align: 1 });
  const lines = [
    ["gridImport", paint.grid, [6, 4]],
    ["local", paint.sun, []],
    ["gridExport", paint.grid, [2, 4]],
  ].map(([field, stroke, dash]) => ({
    values: windows.map((window) => window[field]),
    isStepped: true, // The last value is drawn to the end of its window.
    series: {
      label: labels[field],
      stroke,
      dash,
      width: field === "local" ? 3 : 2,
      paths: stepped,
      points: { show: false },
    },
  }));
  const all = lines.flatMap(({ values }) => values);
  const [least, most] = [Math.min(0, ...all), Math.max(...all)];
  draw(box, PRICE_HEIGHT, windows, lines, {
    range: [least, most + Math.max(1, (most - least) * 0.12)],
    splits: () => told(lines.map(({ values }) => values)),
    values: (_, ticks) => ticks.map((tick) => money(tick)),
    paint,
  });
}

/** The prices that stand beside the scale: the grid's, and the neighbours' while it is one. */
function told([gridImport, local, gridExport]) {
  const own = new Set(local);
  return [...new Set([...gridImport, ...gridExport, ...(own.size === 1 ? own : [])])].slice(0, 6);
}

function draw(box, height, windows, parts, { range, values, splits, label, paint }) {
  const starts = windows.map(({ start }) => Date.parse(start) / 1000);
  const ends = windows.map(({ end }) => Date.parse(end) / 1000);
  const times = [...starts, ends.at(-1)];
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: paint.soft, font, grid: { stroke: paint.line, width: 1 }, ticks: { show: false } };
  const width = Math.max(260, Math.round(box.clientWidth));
  const options = {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    select: { show: false },
    padding: [8, 24, 0, 0],
    scales: { x: { time: false, range: [times[0], times.at(-1)] }, y: { range } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 30,
        splits: () => localHours(times[0], times.at(-1), width),
        values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)),
      },
      { ...axis, values, splits, size: 64, label, labelFont: font, labelSize: label ? 18 : 0 },
    ],
    series: [{}, ...parts.map(({ series }) => series)],
  };
  const columns = parts.map(({ values: own, isStepped }) => [...own, isStepped ? own.at(-1) : null]);
  box.replaceChildren();
  const chart = new globalThis.uPlot(options, [times, ...columns], box);
  chart.root.setAttribute("aria-hidden", "true"); // The table beside it says the same.
  return chart;
}

/** Whole local hours, as many as have room: every one, every third, every sixth. */
function localHours(from, until, width) {
  const hours = [];
  for (let at = Math.ceil(from / 900) * 900; at <= until; at += 900) {
    if (clock(at * 1000).endsWith(":00")) hours.push(at);
  }
  const room = Math.max(2, Math.floor(width / LABEL_PX));
  const step = [1, 2, 3, 6, 12].find((each) => hours.length / each <= room) ?? 24;
  return hours.filter((at) => Number(clock(at * 1000).slice(0, 2)) % step === 0);
}

function kwhLabel(wh) {
  return kwh(BigInt(Math.round(wh))).replace(/0+$/, "").replace(/[.,]$/, "");
}

function withAlpha(colour, strength) {
  const percent = Math.round(strength * 100);
  return `color-mix(in srgb, ${colour} ${percent}%, transparent)`;
}

/** Stripes in a colour, on nothing. */
function hatched(colour, strength) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = HATCH;
  const pen = tile.getContext("2d");
  pen.strokeStyle = withAlpha(colour, strength);
  pen.lineWidth = 2;
  for (const shift of [-HATCH, 0, HATCH]) {
    pen.moveTo(shift, HATCH);
    pen.lineTo(shift + HATCH, 0);
  }
  pen.stroke();
  return () => pen.createPattern(tile, "repeat");
}
