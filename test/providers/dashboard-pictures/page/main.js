/* global document, requestAnimationFrame */
/**
 * Draws a dashboard from its JSON and a Prometheus, as Grafana lays it out. The test calls `draw`, and gets what is drawn in
 * each panel.
 */
import { Component, createElement as h } from 'react';
import { createRoot } from 'react-dom/client';
import 'uplot/dist/uPlot.min.css';
import './page.css';
import { createTheme, dateTime, ThemeContext } from '@grafana/data';
import { GlobalStyles, Icon, InlineLabel, PanelChrome, ToolbarButton } from '@grafana/ui';
import { isKnown, withFieldConfig } from './fields.js';
import { KINDS, transformed } from './panels.js';
import { eventsOf, framesOf } from './queries.js';
import { report } from './report.js';

/** Of Grafana's grid, in pixels. */
const COLUMNS = 24;
const [CELL, GAP, EDGE] = [30, 8, 16];

class Guard extends Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  render() {
    const { error } = this.state;
    return error === undefined ? this.props.children : h('pre', { role: 'alert' }, String(error));
  }
}

const sizeOf = ({ w, h }, columnWidth) => [w * (columnWidth + GAP) - GAP, h * (CELL + GAP) - GAP];

function Panel({ drawn, width, height }) {
  const { panel, error } = drawn;
  const links = panel.links?.length > 0;
  return h(
    PanelChrome,
    {
      ...{ title: panel.title, description: panel.description, width, height },
      // As the plugins of Grafana have it.
      padding: panel.type === 'timeseries' ? 'md' : 'none',
      ...(error && { statusMessage: error }),
      titleItems: links && h(PanelChrome.TitleItem, {}, h(Icon, { name: 'external-link-alt', size: 'md' })),
    },
    (innerWidth, innerHeight) =>
      error === undefined &&
      h(
        Guard,
        {},
        drawn.values === 0
          ? h('div', { className: 'no-data' }, 'No data')
          : KINDS[panel.type](drawn, innerWidth, innerHeight),
      ),
  );
}

const Row = ({ title }) => h('div', { className: 'row' }, h(Icon, { name: 'angle-down' }), ' ', title);

/** What is chosen above the panels. */
const Choices = ({ dashboard, lasts }) =>
  h(
    'header',
    {},
    h('h1', {}, dashboard.title),
    ...dashboard.templating.list
      .filter(({ includeAll }) => includeAll)
      .map(({ name, label }) =>
        h(
          'span',
          { key: name, className: 'choice' },
          h(InlineLabel, { width: 'auto' }, label),
          h(ToolbarButton, { isOpen: false, variant: 'canvas' }, 'All'),
        ),
      ),
    h(ToolbarButton, { icon: 'clock-nine', isOpen: false, variant: 'canvas' }, lasts),
  );

async function dataOf(panel, context) {
  const { dashboard, source, range, theme, timeZone, events, width } = context;
  try {
    if (!isKnown(panel.type)) throw new Error(`no one draws a panel of the type ${panel.type}`);
    const asked = await transformed(panel, await framesOf(panel, dashboard, source, range, width(panel)));
    const frames = withFieldConfig(panel, asked, theme, timeZone);
    const fields = frames.flatMap(({ fields }) => fields).filter(({ type }) => type === 'number');
    const values = fields.reduce((sum, { values }) => sum + values.filter((each) => each !== null).length, 0);
    return { panel, frames, values, series: fields.length, events, range, theme, timeZone };
  } catch (error) {
    return { panel, error: String(error), frames: [], values: 0, series: 0 };
  }
}

const painted = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));

globalThis.draw = async (dashboard, { mode, source, from, to, lasts }) => {
  const theme = createTheme({ colors: { mode } });
  const range = { from: dateTime(from), to: dateTime(to) };
  range.raw = { from: range.from, to: range.to };
  const whole = document.documentElement.clientWidth - 2 * EDGE;
  const column = (whole - (COLUMNS - 1) * GAP) / COLUMNS;
  const events = (
    await Promise.all(dashboard.annotations.list.map((each) => eventsOf(each, dashboard, source, range)))
  ).flat();
  const context = {
    ...{ dashboard, source, range, theme, timeZone: dashboard.timezone, events },
    width: ({ gridPos }) => Math.round(sizeOf(gridPos, column)[0]),
  };
  const drawn = new Map();
  for (const panel of dashboard.panels.filter(({ type }) => type !== 'row'))
    drawn.set(panel.id, await dataOf(panel, context));
  const cells = dashboard.panels.map((panel) => {
    const [width, height] = sizeOf(panel.gridPos, column);
    const place = { left: panel.gridPos.x * (column + GAP), top: panel.gridPos.y * (CELL + GAP) };
    const style = { position: 'absolute', ...place, width, height };
    const inside =
      panel.type === 'row' ? h(Row, panel) : h(Panel, { drawn: drawn.get(panel.id), width, height });
    return h('div', { key: panel.id, id: `panel-${panel.id}`, style }, inside);
  });
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const root = document.createElement('main');
  document.body.replaceChildren(root);
  await Promise.all(['400', '500'].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  createRoot(root).render(
    h(
      ThemeContext.Provider,
      { value: theme },
      h(GlobalStyles),
      h(Choices, { dashboard, lasts }),
      h('div', { className: 'grid', style: { height: bottom * (CELL + GAP) } }, ...cells),
    ),
  );
  await painted();
  await painted();
  return [...drawn.values()].map((each) => report(each, document.getElementById(`panel-${each.panel.id}`)));
};
