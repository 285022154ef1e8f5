/** Series over time, drawn by uPlot, with a legend and a cursor that a keyboard can use, too. */
import { clockText, element } from './dom.js';

/**
 * @typedef {{ name: string, color: string, dash?: number[] }} Series color: number of a colour of page.css
 * @typedef {(number | null)[]} Values one for each time; null where there is none
 */

/** Served beside this page, as its package has it. */
const UPlot = /** @type {typeof import('uplot')} */ (/** @type {any} */ (globalThis).uPlot);

const FONT = '12px system-ui, sans-serif';
const HEIGHT = 200;
const AXIS_WIDTH = 64;

/** @param {string} name of a class of page.css with a colour */
function colorOf(name) {
  const probe = element('span', { class: name, hidden: true });
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

export class Chart {
  #figure;
  #series;
  #text;
  #plot;
  #picture = element('div', { class: 'plot', role: 'img', tabIndex: 0 });
  #moment = element('p', { class: 'hint moment', role: 'status' });
  #legend;
  /** @type {number[]} */
  #times = [];
  /** @type {Values[]} */
  #values = [];

  /**
   * @param {HTMLElement} figure with its caption
   * @param {readonly Series[]} series
   * @param {(value: number) => string} text
   */
  constructor(figure, series, text) {
    this.#figure = figure;
    this.#series = series;
    this.#text = text;
    this.#legend = series.map((one, index) => this.#legendItem(one, index));
    figure.append(
      this.#picture,
      this.#moment,
      element('ul', { class: 'legend' }, ...this.#legend.map(({ item }) => item)),
    );
    this.#plot = new UPlot(this.#options(), [[], ...series.map(() => [])], this.#picture);
    new ResizeObserver(() => this.#resize()).observe(figure);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#plot.redraw(false));
    this.#picture.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this.#key(event));
  }

  /**
   * @param {number[]} times seconds since 1970
   * @param {Values[]} values one list for each series
   */
  show(times, values) {
    this.#times = times;
    this.#values = values;
    this.#plot.setData([times, ...values]);
    this.#say();
  }

  /** @returns {import('uplot').Options} */
  #options() {
    const axis = { font: FONT, labelFont: FONT, stroke: () => colorOf('quiet') };
    const lines = { width: 1, stroke: () => colorOf('line-color') };
    return {
      width: this.#width,
      height: HEIGHT,
      // Room for the half of the last time.
      padding: [null, 28, null, null],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false },
      scales: { y: { range: (_, __, max) => [0, Math.max(1, (max ?? 0) * 1.1)] } },
      axes: [
        { ...axis, grid: lines, ticks: lines, space: 80, values: (_, times) => times.map(clockText) },
        {
          ...axis,
          grid: lines,
          ticks: lines,
          size: AXIS_WIDTH,
          values: (_, values) => values.map((value) => this.#text(value)),
        },
      ],
      series: [
        {},
        ...this.#series.map(({ name, color, dash }) => ({
          label: name,
          stroke: () => colorOf(`color-${color}`),
          width: 2,
          ...(dash ? { dash } : {}),
          spanGaps: false,
        })),
      ],
      hooks: { setCursor: [() => this.#say()] },
    };
  }

  get #width() {
    const { paddingLeft, paddingRight } = getComputedStyle(this.#figure);
    return Math.max(160, this.#figure.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
  }

  #resize() {
    const width = this.#width;
    if (width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /**
   * @param {Series} series
   * @param {number} index
   */
  #legendItem({ name, color }, index) {
    const value = element('b', {});
    const button = element(
      'button',
      { type: 'button', class: 'plain', 'aria-pressed': 'true' },
      element('span', { class: `swatch color-${color}`, 'aria-hidden': 'true' }),
      `${name} `,
      value,
    );
    button.onclick = () => {
      const shown = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(shown));
      this.#plot.setSeries(index + 1, { show: shown });
    };
    return { item: element('li', {}, button), value };
  }

  /** What is under the cursor, else what was last. */
  #say() {
    const last = this.#times.length - 1;
    // The constructor of uPlot calls this, too.
    const at = this.#plot?.cursor.idx ?? last;
    const texts = this.#values.map((values) => {
      const value = values[at] ?? null;
      return value === null ? '–' : this.#text(value);
    });
    for (const [index, { value }] of this.#legend.entries()) value.textContent = texts[index] ?? '–';
    const time = this.#times[at];
    const when = time === undefined ? '' : clockText(time);
    this.#moment.textContent = at === last || when === '' ? '' : `at ${when}`;
    const caption = this.#figure.querySelector('figcaption')?.textContent ?? '';
    const words = this.#series.map(({ name }, index) => `${name} ${texts[index] ?? 'none'}`);
    this.#picture.setAttribute('aria-label', `${caption}, at ${when}: ${words.join(', ')}`);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || this.#times.length === 0) return;
    event.preventDefault();
    const last = this.#times.length - 1;
    const at = Math.min(last, Math.max(0, (this.#plot.cursor.idx ?? last) + step));
    const left = this.#plot.valToPos(this.#times[at] ?? 0, 'x');
    this.#plot.setCursor({ left, top: 0 });
  }
}
