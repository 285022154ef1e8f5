/** Bars with a number each. */
import { element, svg } from './dom.js';

/**
 * @param {Element} figure its caption stays
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
  const caption = /** @type {Node} */ (figure.querySelector('figcaption'));
  figure.replaceChildren(caption, bars.length > 0 ? list : element('p', { class: 'hint' }, none));
}
