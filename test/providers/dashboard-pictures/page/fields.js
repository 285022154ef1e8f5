/**
 * What Grafana's plugins for panels add to a panel that says nothing: their options and these options' defaults. An option of
 * the dashboard that is not here is an error: it would be left out of the picture in silence.
 */
import { applyFieldOverrides, FieldConfigOptionsRegistry } from '@grafana/data';

const isNumber = ({ type }) => type === 'number';
const always = () => true;

/** Of every kind of panel. */
const STANDARD = {
  unit: always,
  min: isNumber,
  max: isNumber,
  decimals: isNumber,
  color: ({ type }) => type !== 'time',
  thresholds: isNumber,
  mappings: always,
  displayName: always,
  noValue: always,
};

const KINDS = {
  timeseries: {
    color: 'palette-classic',
    custom: {
      drawStyle: 'line',
      lineInterpolation: 'linear',
      lineWidth: 1,
      fillOpacity: 0,
      gradientMode: 'none',
      spanNulls: false,
      insertNulls: false,
      showPoints: 'auto',
      pointSize: 5,
      stacking: { mode: 'none', group: 'A' },
      axisPlacement: 'auto',
      axisLabel: '',
      axisColorMode: 'text',
      axisBorderShow: false,
      axisCenteredZero: false,
      axisSoftMin: undefined,
      axisSoftMax: undefined,
      scaleDistribution: { type: 'linear' },
      hideFrom: { tooltip: false, viz: false, legend: false },
      thresholdsStyle: { mode: 'off' },
    },
  },
  stat: { color: 'thresholds', custom: {} },
  table: { color: 'thresholds', custom: { align: 'auto', inspect: false, cellOptions: { type: 'auto' } } },
};

export const isKnown = (type) => Object.hasOwn(KINDS, type);

/** The frames with the panel's units, colours and overrides. */
export function withFieldConfig({ type, title, fieldConfig }, data, theme, timeZone) {
  const { color, custom } = KINDS[type];
  const { defaults, overrides } = fieldConfig;
  const known = [...Object.keys(STANDARD), 'custom', ...Object.keys(custom).map((key) => `custom.${key}`)];
  const used = [
    ...Object.keys(defaults),
    ...Object.keys(defaults.custom ?? {}).map((key) => `custom.${key}`),
    ...overrides.flatMap(({ properties }) => properties.map(({ id }) => id)),
  ];
  const unknown = used.filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`${title}: no one draws ${unknown.join(', ')}`);
  const property = (id, path, isCustom, shouldApply) => ({
    ...{ id, path, name: id, isCustom, shouldApply, settings: {} },
    process: (value) => value,
  });
  const fieldConfigRegistry = new FieldConfigOptionsRegistry(() => [
    ...Object.entries(STANDARD).map(([id, shouldApply]) => property(id, id, false, shouldApply)),
    ...Object.keys(custom).map((key) => property(`custom.${key}`, key, true, always)),
  ]);
  return applyFieldOverrides({
    data,
    fieldConfig: {
      defaults: { color: { mode: color }, ...defaults, custom: { ...custom, ...defaults.custom } },
      overrides,
    },
    fieldConfigRegistry,
    replaceVariables: (text) => text,
    theme,
    timeZone,
  });
}
