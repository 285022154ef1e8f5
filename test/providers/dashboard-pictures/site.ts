/** The page that draws a dashboard, in a browser: it reaches its own server and Prometheus, and nothing else. */
import { readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { Test } from 'tap';
import { startServer } from '../../support/upstream.ts';
import { bundled, grafanaFolder } from './grafana.ts';

export const WIDTH = 1_200;

export type Mode = 'light' | 'dark';

/** A panel as it was drawn. */
export interface DrawnPanel {
  readonly title: string;
  readonly type: string;
  readonly unit: string;
  /** Curves, single figures, or columns with figures. */
  readonly series: number;
  /** Of all its series, those that are numbers. */
  readonly values: number;
  readonly errors: readonly string[];
  /** What is written above it. */
  readonly heading: string;
  readonly text: string;
  readonly legend: readonly string[];
  /** Whether one is to be seen. */
  readonly hasCurve: boolean;
}

export interface Range {
  readonly from: number;
  readonly to: number;
  /** How it is called. */
  readonly lasts: string;
}

const FONT = 'node_modules/@fontsource/inter/files/inter-latin-';
const PAGE = `<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <title>A dashboard</title>
  <link rel="icon" href="data:," />
  <link rel="stylesheet" href="/main.css" />
  <style>
    @font-face { font-family: Inter; font-weight: 400; src: url(/fonts/400-normal.woff2) }
    @font-face { font-family: Inter; font-weight: 500; src: url(/fonts/500-normal.woff2) }
  </style>
  <body></body>
  <script src="/main.js"></script>
</html>`;
const TYPES: Record<string, string> = {
  css: 'text/css',
  js: 'text/javascript',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
};

/** What is on the page's server, by path. */
function contentOf(path: string, bundle: ReadonlyMap<string, Uint8Array>): Uint8Array | string | undefined {
  if (path === '/') return PAGE;
  if (path.startsWith('/fonts/')) return readFileSync(join(grafanaFolder(), `${FONT}${path.slice(7)}`));
  if (path.startsWith('/public/'))
    return readFileSync(join(grafanaFolder(), 'node_modules/@grafana/ui/dist', normalize(path)));
  return bundle.get(path);
}

/** Returns the address of the page that draws what this Prometheus has. */
export async function startSite(t: Test, prometheus: string): Promise<string> {
  const bundle = await bundled();
  return startServer(t, ({ url = '/' }, response) => {
    const content = contentOf(url, bundle);
    response.setHeader('content-type', TYPES[/\.(\w+)$/.exec(url)?.[1] ?? ''] ?? 'text/html');
    // The components style their elements, and data: has pictures of their styles.
    response.setHeader(
      'content-security-policy',
      `default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ${prometheus}`,
    );
    response.statusCode = content === undefined ? 404 : 200;
    response.end(content);
  });
}

/** A page, and what goes wrong on it, as it happens. */
export async function openSite(browser: Browser, site: string): Promise<{ page: Page; faults: string[] }> {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 }, timezoneId: 'UTC' });
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('requestfailed', (request) => faults.push(`${request.url()}: ${request.failure()?.errorText}`));
  await page.goto(site);
  return { page, faults };
}

/** Draws it, and returns its panels as they are to be seen. */
export function drawOn(
  page: Page,
  dashboard: unknown,
  mode: Mode,
  prometheus: string,
  range: Range,
): Promise<DrawnPanel[]> {
  const source = { url: prometheus, scrape: '1s' };
  const options = JSON.stringify({ mode, source, ...range });
  return page.evaluate(`draw(${JSON.stringify(dashboard)}, ${options})`);
}
