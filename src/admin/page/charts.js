/** Pictures of series over time, and bars, as SVG. Each says in words what it shows. */
import { element, svg } from './dom.js';

const WIDTH = 480;
const HEIGHT = 180;
const LEFT = 52;
const BOTTOM = 20;
const TOP = 8;

/**
 * @typedef {{ name: string, values: (number | undefined)[] }} Series one value for each time
 */

/**
 * @param {readonly number[]} timesMs
 * @param {number} max
 */
function scales(timesMs, max) {
  const first = timesMs[0] ?? 0;
  const span = (timesMs.at(-1) ?? 0) - first || 1;
  return {
    /** @param {number} timeMs */
    x: (timeMs) => LEFT + ((timeMs - first) / span) * (WIDTH - LEFT - 4),
    /** @param {number} value */
    y: (value) => TOP + (1 - value / max) * (HEIGHT - TOP - BOTTOM),
  };
}

/**
 * The next round number: 1, 2 or 5 times a power of ten.
 *
 * @param {number} value
 */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * power >= value * 0.999) ?? 10) * power;
}

/**
 * @param {readonly number[]} timesMs
 * @param {number} max
 * @param {(value: number) => string} text
 */
function frame(timesMs, max, text) {
  const { y } = scales(timesMs, max);
  const seconds = Math.round(((timesMs.at(-1) ?? 0) - (timesMs[0] ?? 0)) / 1000);
  return [
    ...[0, 0.5, 1].flatMap((part) => [
      svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - 4, y1: y(part * max), y2: y(part * max) }),
      svg(
        'text',
        { class: 'axis', x: LEFT - 6, y: y(part * max) + 4, 'text-anchor': 'end' },
        text(part * max),
      ),
    ]),
    svg('text', { class: 'axis', x: LEFT, y: HEIGHT - 4 }, `${seconds} s ago`),
    svg('text', { class: 'axis', x: WIDTH - 4, y: HEIGHT - 4, 'text-anchor': 'end' }, 'now'),
  ];
}

/**
 * @param {readonly Series[]} series
 * @param {(value: number) => string} text
 */
function legend(series, text) {
  return element(
    'ul',
    { class: 'legend' },
    ...series.map(({ name, values }, index) =>
      element(
        'li',
        {},
        element('span', { class: `swatch swatch-${index}`, 'aria-hidden': 'true' }),
        `${name} ${values.at(-1) === undefined ? '–' : text(values.at(-1) ?? 0)}`,
      ),
    ),
  );
}

/**
 * @param {string} label
 * @param {...Node} children
 */
function picture(label, ...children) {
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label }, ...children);
}

/**
 * Series that add up.
 *
 * @param {Element} figure
 * @param {string} label
 * @param {readonly number[]} timesMs
 * @param {readonly Series[]} series
 * @param {(value: number) => string} text
 */
export function drawStack(figure, label, timesMs, series, text) {
  const totals = timesMs.map((_, at) => series.reduce((sum, { values }) => sum + (values[at] ?? 0), 0));
  const max = roundUp(Math.max(...totals, 0));
  const { x, y } = scales(timesMs, max);
  const below = timesMs.map(() => 0);
  const areas = series.map(({ values }, index) => {
    const lower = below.map((value, at) => `${x(timesMs[at] ?? 0)},${y(value)}`).reverse();
    const upper = values.map((value, at) => {
      below[at] = (below[at] ?? 0) + (value ?? 0);
      return `${x(timesMs[at] ?? 0)},${y(below[at] ?? 0)}`;
    });
    return svg('polygon', { class: `fill-${index}`, points: [...upper, ...lower].join(' ') });
  });
  const words = `${label}, now: ${series.map(({ name, values }) => `${name} ${text(values.at(-1) ?? 0)}`).join(', ') || 'none'}`;
  replace(figure, picture(words, ...frame(timesMs, max, text), ...areas), legend(series, text));
}

/**
 * Series side by side.
 *
 * @param {Element} figure
 * @param {string} label
 * @param {readonly number[]} timesMs
 * @param {readonly Series[]} series
 * @param {(value: number) => string} text
 */
export function drawLines(figure, label, timesMs, series, text) {
  const max = roundUp(Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0)), 0));
  const { x, y } = scales(timesMs, max);
  const lines = series.map(({ values }, index) => {
    let path = '';
    let pen = 'M';
    values.forEach((value, at) => {
      if (value === undefined) pen = 'M';
      else {
        path += `${pen}${x(timesMs[at] ?? 0)},${y(value)}`;
        pen = 'L';
      }
    });
    return svg('path', { class: `line stroke-${index}`, d: path });
  });
  const words = `${label}, now: ${series.map(({ name, values }) => `${name} ${values.at(-1) === undefined ? 'none' : text(values.at(-1) ?? 0)}`).join(', ')}`;
  replace(figure, picture(words, ...frame(timesMs, max, text), ...lines), legend(series, text));
}

/**
 * @param {Element} figure
 * @param {readonly { name: string, value: number }[]} bars
 * @param {(value: number) => string} text
 * @param {string} none what is said where there are none
 */
export function drawBars(figure, bars, text, none) {
  const max = Math.max(...bars.map(({ value }) => value), 1);
  const list = element(
    'ul',
    { class: 'bars' },
    ...bars.map(({ name, value }) =>
      element(
        'li',
        {},
        element('div', { class: 'head' }, element('span', {}, name), element('b', {}, text(value))),
        svg(
          'svg',
          { viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
          svg('rect', { class: 'bar', width: (100 * value) / max, height: 4, rx: 1 }),
        ),
      ),
    ),
  );
  replace(figure, bars.length > 0 ? list : element('p', { class: 'hint' }, none));
}

/**
 * @param {Element} figure
 * @param {...Node} content
 */
export function replace(figure, ...content) {
  figure.replaceChildren(/** @type {Node} */ (figure.querySelector('figcaption')), ...content);
}
