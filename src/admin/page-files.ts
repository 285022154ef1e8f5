/**
 * The files of the admin page, as they lie in page/, and the headers that go with them. The page needs no token: it asks
 * for one, and talks to the API as any other client does. Rule A3.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { PROGRAM } from '../version.ts';
import type { AdminResponse } from './http-response.ts';

const FILES = [
  'page.css',
  'icon.svg',
  ...[
    'api',
    'api-keys',
    'bars',
    'bulk',
    'canary',
    'charts',
    'chosen-token',
    'confirm',
    'confirmed',
    'csv',
    'dom',
    'explain',
    'fleet',
    'gateways',
    'health',
    'history',
    'limited',
    'main',
    'metrics',
    'reasons',
    'refusals',
    'reported',
    'revocation-labels',
    'revocation-list',
    'revoke-form',
    'revoke-many',
    'roles',
    'seen',
    'traffic',
  ].map((name) => `${name}.js`),
];
/** What draws the charts, as its package has it; served from here like the rest. */
const LIBRARY: Readonly<Record<string, string>> = {
  'uplot.js': 'uplot/dist/uPlot.iife.min.js',
  'uplot.css': 'uplot/dist/uPlot.min.css',
};
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Nothing but what comes from here, no inline script or style, no text that becomes markup, and no frames. */
const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

/** By path. Read once, when the gateway starts. */
export function pageResponses(): ReadonlyMap<string, AdminResponse> {
  const { resolve } = createRequire(import.meta.url);
  const own = (file: string): AdminResponse =>
    responseOf(file, readFileSync(new URL(`admin/page/${file}`, PROGRAM), 'utf8'));
  return new Map([
    ['/', own('index.html')],
    ...FILES.map((file): [string, AdminResponse] => [`/page/${file}`, own(file)]),
    ...Object.entries(LIBRARY).map(([file, path]): [string, AdminResponse] => [
      `/page/${file}`,
      responseOf(file, readFileSync(resolve(path), 'utf8')),
    ]),
  ]);
}

function responseOf(file: string, body: string): AdminResponse {
  const extension = file.slice(file.lastIndexOf('.') + 1);
  return {
    status: 200,
    headers: { ...HEADERS, 'content-type': TYPES[extension] ?? 'application/octet-stream' },
    body,
  };
}
