/** Requests of one caller, offered to all gateways of a fleet that count together. */
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { loginIssuer } from './gateway.ts';
import { claimsOf, createKey, mint } from './tokens.ts';

const key = createKey('ES256');

export const subjectToken = (subject: string): string => mint(key, claimsOf({ sub: subject }));

/** A gateway with one limit by subject. */
export function limitedConfiguration(
  upstream: string,
  store: string,
  limit: Record<string, unknown>,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    realm: 'test',
    issuers: { login: loginIssuer(key) },
    revocation: { store, max_view_age: '1h' },
    routes: [
      {
        name: 'r',
        match: {},
        upstream: 'u',
        when_stale: 'allow',
        rate_limits: [{ name: 'each', by: 'subject', ...limit }],
      },
    ],
    upstreams: { u: { targets: [upstream] } },
    ...more,
  };
}

export interface Flood {
  /** How many responses had each status; 0: none came. */
  readonly statuses: Record<number, number>;
  /** From the first request to the last response. */
  readonly seconds: number;
  /** In each second from the start: how many passed. */
  readonly passed: readonly number[];
}

/** Sends so many requests a second, to each URL in turn, and waits for all responses. */
export async function flood(
  t: Test,
  urls: readonly string[],
  perSecond: number,
  seconds: number,
  subject = 'alice',
): Promise<Flood> {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  t.teardown(() => agent.destroy());
  const headers = { authorization: `Bearer ${subjectToken(subject)}` };
  const statuses: Record<number, number> = {};
  const passed: number[] = [];
  const open = new Set<Promise<void>>();
  const startMs = performance.now();
  const elapsed = (): number => (performance.now() - startMs) / 1_000;
  const send = (url: string): void => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = (status: number): void => {
      statuses[status] = (statuses[status] ?? 0) + 1;
      const second = Math.floor(elapsed());
      if (status === 200) passed[second] = (passed[second] ?? 0) + 1;
      open.delete(promise);
      resolve();
    };
    open.add(promise);
    httpRequest(url, { agent, headers }, (response) => {
      response.resume().on('close', () => done(response.statusCode ?? 0));
    })
      .on('error', () => done(0))
      .end();
  };
  // As many as are due, however late a timer is.
  for (let sent = 0; elapsed() < seconds; await pause(2))
    for (; sent < elapsed() * perSecond; sent++) send(urls[sent % urls.length] as string);
  await Promise.all(open);
  return { statuses, seconds: elapsed(), passed: Array.from(passed, (count) => count ?? 0) };
}
