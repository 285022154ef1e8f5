/** What is to be seen in a panel, for the test. */
import { colorManipulator, getFieldSeriesColor } from '@grafana/data';

const OPAQUE = 100;
const NEAR = 24;

const numbersOf = (color) => colorManipulator.decomposeColor(color).values.slice(0, 3);
const isNear = (one, other) => one.every((value, index) => Math.abs(value - other[index]) < NEAR);

/** The colours of the curves with values, without those of marks and limits, which are drawn in the same place. */
function coloursOf({ frames, events, panel, theme }) {
  const { custom, thresholds } = panel.fieldConfig.defaults;
  // The first begins below the axis.
  const limits = custom?.thresholdsStyle === undefined ? [] : thresholds.steps.slice(1);
  const others = [...events, ...limits].map(({ color }) => theme.visualization.getColorByName(color));
  return frames
    .flatMap(({ fields }) => fields)
    .filter(({ type, values }) => type === 'number' && values.some((each) => each !== null))
    .map((field) => numbersOf(getFieldSeriesColor(field, theme).color))
    .filter((colour) => !others.some((other) => isNear(colour, numbersOf(other))));
}

/** Is one of these colours in it? Where curves lie upon each other, one is to be seen. */
function hasColour(canvas, colours) {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) {
    const pixel = data.subarray(at, at + 4);
    if (pixel[3] > OPAQUE && colours.some((colour) => isNear(colour, pixel))) return true;
  }
  return false;
}

export function report(drawn, element) {
  const { panel, series, values, error } = drawn;
  const all = (selector) => [...element.querySelectorAll(selector)];
  const colours = error === undefined && panel.type === 'timeseries' ? coloursOf(drawn) : [];
  const alerts = all('[role=alert]').map(({ innerText }) => innerText);
  return {
    ...{ title: panel.title, type: panel.type, unit: panel.fieldConfig.defaults.unit, series, values },
    errors: [...(error === undefined ? [] : [error]), ...alerts],
    heading: element.querySelector('h6')?.innerText ?? '',
    text: element.innerText,
    legend: all('[data-testid^="data-testid VizLegend"]').map(({ innerText }) => innerText),
    // Of a curve in the colour of a mark nothing can be said.
    hasCurve: colours.length === 0 ? values > 0 : all('canvas').some((canvas) => hasColour(canvas, colours)),
  };
}
