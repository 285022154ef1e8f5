/** The admin page with responses that a test makes up: states that no gateway is brought to in a second. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PICTURES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
/** Around a picture, in pixels. */
const MARGIN = 16;
const PICTURE_WIDTH = 1_200;
const STEP_SECONDS = 5;
const STEPS = 120;
export const NOW = Math.floor(Date.now() / 1000);

/** A body by path, without its query; a number is a status. */
export type Responses = Record<string, object | number>;

/** The page gets these from now on. What is returned may be changed: it counts at once. */
export async function respondWith(page: Page, responses: Responses): Promise<Responses> {
  const made = { ...responses };
  for (const path of Object.keys(made)) {
    await page.route(
      (url) => url.pathname === path,
      (route) => {
        const content = made[path];
        // A path for POST says so to a GET.
        const isPosted = path === '/v1/explain' || path === '/v1/sessions/search';
        const status =
          typeof content === 'number' ? content : isPosted && route.request().method() !== 'POST' ? 405 : 200;
        return route.fulfill({ status, json: status === 200 ? content : {} });
      },
    );
  }
  return made;
}

/**
 * Ten minutes in which each step had as many requests, of which so many were refused and so many failed.
 *
 * @param shape what each step's counts are multiplied by
 */
export function historyOf(
  routes: Record<string, readonly [requests: number, refused: number, failed: number, slow?: number]>,
  shape: (step: number) => number = () => 1,
): object {
  const steps = (value: number, times = shape): number[] =>
    Array.from({ length: STEPS }, (_, step) => Math.round(value * times(step)));
  return {
    this_gateway: 'edge',
    step_seconds: STEP_SECONDS,
    from: NOW - STEPS * STEP_SECONDS,
    routes: Object.entries(routes).map(([route, [requests, refused, failed, slow = 0]]) => ({
      route,
      requests: steps(requests),
      refused: steps(refused),
      failed: steps(failed),
      slow: steps(slow),
      p50_ms: requests === 0 ? steps(0).map(() => null) : steps(4),
      p99_ms: requests === 0 ? steps(0).map(() => null) : steps(32),
    })),
  };
}

/** A gateway of the fleet, as /v1/gateways tells it; that of host-a is the one asked. */
export function gatewayOf(host: string, changes: object = {}): object {
  return {
    name: `edge@${host}`,
    id: host,
    configured_name: 'edge',
    this: host === 'host-a',
    live: true,
    ready: true,
    version: '0.1.0',
    host,
    pid: 7,
    workers: 1,
    started_at: NOW - 9_000,
    heartbeat_age_seconds: host === 'host-a' ? 0 : 2.1,
    view_age_seconds: 0.2,
    view_position: null,
    config_hash: '3f9a0c1d2e4b5a67',
    ...changes,
  };
}

/** @param gateways this one first */
export function fleetReport(...gateways: readonly object[]): object {
  return {
    store: 'redis',
    complete: true,
    canary: { every_seconds: 60, last: canaryOf(gateways.length) },
    gateways,
  };
}

/** All of them refuse it. */
export function canaryOf(gateways: number, changes: object = {}): object {
  return {
    ...{ made_by: 'edge@host-a', made_at: NOW - 14, gateways, refuse: gateways },
    ...{ slowest_seconds: 0.012, error_seconds: 0.0015 },
    ...{ waiting: [], missed: [], silent: [], unknown: [] },
    ...changes,
  };
}

const HOSTS = ['host-a', 'host-b', 'host-c'];
const gateways = { asked: HOSTS.map((host) => `edge@${host}`), silent: [], complete: true };

/** A morning at a gateway of three. */
export const MADE_UP: Responses = {
  '/v1/gateways': fleetReport(...HOSTS.map((host) => gatewayOf(host))),
  '/v1/history': historyOf(
    { orders: [400, 20, 0], bakery: [90, 60, 0], public: [0, 0, 0] },
    (step) => 1 + 0.2 * Math.sin(step / 9) + 0.1 * Math.sin(step * 2.3),
  ),
  '/v1/refusals': {
    gateways: { ...gateways, asked: gateways.asked.slice(0, 1) },
    refusals: [
      {
        time: NOW - 7,
        gateway: 'edge@host-a',
        request_id: '01JDQ4Z8K3V6M9',
        route: 'orders',
        status: 403,
        reason: 'insufficient_scope',
        code: 'insufficient_scope',
        issuer: 'login',
        client_id: 'shop-app',
        sub_hash: 'v3Jx0b7Qm2Lw9RtY',
        missing_scope: 'orders:write',
        detail: null,
        client_ip: '203.0.113.9',
      },
      {
        time: NOW - 31,
        gateway: 'edge@host-a',
        request_id: '01JDQ4Y1T7B2C5',
        route: 'bakery',
        status: 401,
        reason: 'expired',
        code: 'invalid_token',
        issuer: 'login',
        client_id: null,
        sub_hash: null,
        missing_scope: null,
        detail: null,
        client_ip: '198.51.100.4',
      },
    ],
  },
  '/v1/sessions/search': {
    gateways,
    sessions: [
      {
        gateways: ['edge@host-a', 'edge@host-c'],
        issuer: 'login',
        session_hash: '4kQ9sLd2Vx7Tn1Zp',
        subject_hash: 'v3Jx0b7Qm2Lw9RtY',
        client_id: 'shop-app',
        first_seen: NOW - 3_000,
        last_seen: NOW - 40,
        requests_last_hour: 3,
        addresses: ['203.0.113.9'],
      },
    ],
  },
  '/v1/explain': {
    decision: 'deny',
    reason: 'insufficient_scope',
    status: 403,
    code: 'insufficient_scope',
    route: 'orders',
    issuer: 'login',
    stages: [
      { stage: 'read_head', outcome: 'passed', detail: 'GET /orders/' },
      { stage: 'match_route', outcome: 'passed', detail: 'orders' },
      { stage: 'verify_token', outcome: 'passed', detail: 'issuer login' },
      { stage: 'authorize', outcome: 'refused', detail: 'the token lacks the scope orders:write' },
      { stage: 'rewrite_headers', outcome: 'not_reached', detail: '' },
    ],
    nearest_routes: [],
    answer: null,
    upstream: null,
  },
};

/** What axe finds wrong with the page as it is, or with a part of it: the rule, and the elements that break it. */
export async function axeFindings(
  page: Page,
  part = 'html',
): Promise<readonly [string, readonly string[]][]> {
  if (!(await page.evaluate<boolean>("'axe' in globalThis"))) await page.evaluate(AXE);
  // Of what is right the details are not looked for, which takes most of the time.
  return page.evaluate(`axe.run('${part}', { resultTypes: ['violations'], preload: false }).then(({ violations }) =>
    violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))`);
}

/** Takes a picture of a part of the page; only where SALLYPORT_PICTURES asks for it: a test run leaves no file behind. */
async function takePicture(page: Page, name: string, id: string, fromTop: boolean): Promise<void> {
  const { y = 0, height = 0 } = (await page.locator(`#${id}`).boundingBox()) ?? {};
  const start = y + (await page.evaluate<number>('scrollY'));
  const top = fromTop ? 0 : start - MARGIN;
  const clip = { x: 0, y: top, width: PICTURE_WIDTH, height: start + height + MARGIN - top };
  await page.screenshot({ path: `${PICTURES}admin-page-${name}.png`, clip, fullPage: true });
}

/** The pictures of these parts in docs/images, light and dark. */
export async function takePictures(page: Page, ...ids: readonly string[]): Promise<void> {
  if (process.env['SALLYPORT_PICTURES'] === undefined) return;
  await page.addStyleTag({ content: 'header { position: static !important }' });
  await page.setViewportSize({ width: PICTURE_WIDTH, height: 1_000 });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const id of ids) await takePicture(page, `${id}-${colorScheme}`, id, id === 'well');
  }
}
