/** One panel of each kind, drawn by the components that Grafana publishes. */
import { useLayoutEffect, createElement as h } from 'react';
import { firstValueFrom } from 'rxjs';
import {
  getFieldDisplayValues,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { BigValue, Table, TimeSeries, VizRepeater } from '@grafana/ui';

standardTransformersRegistry.setInit(() => {
  // One is there under two names.
  const byId = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
  return [...byId].map(([id, transformation]) => ({ id, name: transformation.name, transformation }));
});

export const transformed = ({ transformations = [] }, frames) =>
  firstValueFrom(transformDataFrame(transformations, frames));

const DASH = [5, 5];
const BAR = 5;

/** The marks of what happened, across the curves. */
function Events({ config, events, theme }) {
  useLayoutEffect(() => {
    config.addHook('draw', ({ ctx, bbox, valToPos }) => {
      const { left, top, width, height } = bbox;
      const place = (at) => Math.min(Math.max(valToPos(at, 'x', true), left), left + width);
      ctx.save();
      ctx.lineWidth = 2;
      ctx.setLineDash(DASH);
      for (const { from, to, color } of events) {
        const [start, end] = [place(from), place(to)];
        ctx.strokeStyle = ctx.fillStyle = theme.visualization.getColorByName(color);
        for (const x of new Set([start, end])) {
          ctx.beginPath();
          ctx.moveTo(x, top);
          ctx.lineTo(x, top + height);
          ctx.stroke();
        }
        ctx.fillRect(start, top + height, Math.max(end - start, BAR), BAR);
        ctx.globalAlpha = 0.1;
        ctx.fillRect(start, top, end - start, height);
        ctx.globalAlpha = 1;
      }
      ctx.restore();
    });
  }, [config, events, theme]);
  return null;
}

function timeseries({ panel, frames, events, range, theme, timeZone }, width, height) {
  return h(
    TimeSeries,
    {
      ...{ frames, structureRev: 1, timeRange: range, timeZone, width, height },
      ...{ legend: panel.options.legend, options: panel.options },
    },
    (config) => h(Events, { config, events, theme }),
  );
}

function stat({ panel, frames, range, theme, timeZone }, width, height) {
  const { options, fieldConfig } = panel;
  const { graphMode, colorMode, justifyMode, textMode, orientation, reduceOptions, wideLayout } = options;
  const getValues = () =>
    getFieldDisplayValues({
      ...{ fieldConfig, reduceOptions, theme, timeZone, data: frames },
      ...{ replaceVariables: (text) => text, sparkline: graphMode !== 'none' },
    });
  const renderValue = ({ value, width, height, count, alignmentFactors }) =>
    h(BigValue, {
      ...{ value: value.display, width, height, count, alignmentFactors, theme },
      ...{ graphMode, colorMode, justifyMode, textMode, disableWideLayout: !wideLayout },
      sparkline: value.sparkline && { ...value.sparkline, timeRange: range },
    });
  return h(VizRepeater, {
    ...{ getValues, renderValue, source: frames, width, height, orientation },
    ...{ renderCounter: 0, autoGrid: true },
  });
}

function table({ panel, frames, timeZone }, width, height) {
  const { cellHeight, showHeader, showTypeIcons, footer } = panel.options;
  return h(Table, {
    ...{ data: frames[0], width, height, timeZone, cellHeight, showTypeIcons, noHeader: !showHeader },
    ...(footer.show ? { footerOptions: footer } : {}),
    ariaLabel: panel.title,
  });
}

export const KINDS = { timeseries, stat, table };
