/** The requests of `npm run soak`: kinds in a fixed mixture, each with the status that it must get. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { createToken } from '../credentials.ts';
import { ADMIN_TOKEN, type Scene } from './scene.ts';

/** Requests of a session before the next one. */
const SESSION_REQUESTS = 100;
const KNOWN_TOKENS = 50;
/** Beyond these at once, requests are left out: the rate must not become a pile. */
const MOST_OPEN = 200;
const BODY = Buffer.alloc(64 * 1024, 'b');
/** A message of gRPC: not compressed, five bytes. */
const MESSAGE = Buffer.from([0, 0, 0, 0, 5, 1, 2, 3, 4, 5]);
const UPDATE_MS = 30_000;
/** Longer than load is sent at a time. */
const TOKEN_LIFE_S = 2 * 3_600;

export interface Counts {
  /** By kind. */
  readonly sent: Map<string, number>;
  /** By kind and what came in place of what it must get. */
  readonly wrong: Map<string, number>;
  leftOut: number;
}

type Play = () => Promise<string>;

export class Load {
  readonly counts: Counts = { sent: new Map(), wrong: new Map(), leftOut: 0 };
  readonly #scene: Scene;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  #known: readonly string[] = [];
  #bad = '';
  #session: ClientHttp2Session | undefined;
  #ofSession = 0;
  /** How many are open in each. */
  readonly #streams = new WeakMap<ClientHttp2Session, number>();
  #open = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Each with its part of a hundred, and what it must get. */
  #kinds(): readonly (readonly [part: number, kind: string, expected: RegExp, play: Play])[] {
    const known = (): string => this.#known[randomInt(KNOWN_TOKENS)] ?? '';
    return [
      [30, 'known', /^200$/, () => this.#http1('/orders', known())],
      [8, 'new', /^200$/, () => this.#http1('/orders', this.#token())],
      [8, 'bad, again', /^401$/, () => this.#http1('/orders', this.#bad)],
      [6, 'bad, new', /^401$/, () => this.#http1('/orders', this.#badToken())],
      [4, 'no token', /^401$/, () => this.#http1('/orders', undefined)],
      [4, 'body up', /^200$/, () => this.#http1('/orders', known(), { body: BODY })],
      [4, 'large down', /^200$/, () => this.#http1('/large', known())],
      [18, 'HTTP/2', /^200$/, () => this.#http2({ ':path': '/orders' }, known())],
      [6, 'gRPC', /^200 0$/, () => this.#grpc(known())],
      [
        4,
        'client aborts',
        /^(?:aborted|200)$/,
        () => this.#http1('/slow', known(), { abortMs: randomInt(250) }),
      ],
      [
        4,
        'client aborts HTTP/2',
        /^(?:aborted|200)$/,
        () => this.#http2({ ':path': '/slow' }, known(), randomInt(250)),
      ],
      [2, 'upstream resets', /^502$/, () => this.#http1('/reset', known(), { body: BODY.subarray(0, 10) })],
      [2, 'upstream breaks off', /^(?:aborted|502)$/, () => this.#http1('/broken', known())],
    ];
  }

  /** @param aSecond how many requests */
  start(aSecond: number): void {
    this.#known = Array.from({ length: KNOWN_TOKENS }, () => this.#token());
    this.#bad = this.#badToken();
    const mixture = this.#kinds().flatMap(([part, ...kind]) => Array.from({ length: part }, () => kind));
    const tickMs = 20;
    let due = 0;
    this.#timer = setInterval(() => {
      due += (aSecond * tickMs) / 1000;
      for (; due >= 1; due--) {
        const [kind, expected, play] = mixture[randomInt(mixture.length)] ?? ['', /$/, async () => ''];
        if (this.#open < MOST_OPEN) void this.#count(kind, expected, play);
        else this.counts.leftOut++;
      }
    }, tickMs);
  }

  /** Resolves when nothing of it is open. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#open > 0) await once(this.#idle, 'idle');
    this.#agent.destroy();
    this.#session?.destroy();
    this.#session = undefined;
  }

  readonly #idle = new EventTarget();

  async #count(kind: string, expected: RegExp, play: Play): Promise<void> {
    this.#open++;
    const { sent, wrong } = this.counts;
    sent.set(kind, (sent.get(kind) ?? 0) + 1);
    const got = await play().catch((error: Error) => error.message);
    if (!expected.test(got)) wrong.set(`${kind}: ${got}`, (wrong.get(`${kind}: ${got}`) ?? 0) + 1);
    if (--this.#open === 0) this.#idle.dispatchEvent(new Event('idle'));
  }

  /** Revokes a token, which must then be refused, and undoes it. Redis may be away: then nothing is said of it. */
  async revokeOne(): Promise<void> {
    const token = this.#token();
    const revoked = await this.#admin('POST', '/v1/revocations', { token, confirm: true });
    if (revoked?.id === undefined) return;
    for (let use = 0; use < 5; use++)
      await this.#count('revoked', /^401$/, () => this.#http1('/orders', token));
    await this.#admin('DELETE', `/v1/revocations/${revoked.id}`);
  }

  async #admin(method: string, path: string, body?: object): Promise<{ readonly id?: string } | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#scene.adminPort}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${ADMIN_TOKEN}`,
          'content-type': 'application/json',
          connection: 'close',
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(UPDATE_MS),
      });
      const text = await response.text();
      return response.ok && text !== '' ? (JSON.parse(text) as { id?: string }) : undefined;
    } catch {
      return undefined;
    }
  }

  #token(): string {
    return createToken(this.#scene.credentials, {
      sub: `user-${randomInt(50)}`,
      exp: Math.floor(Date.now() / 1000) + TOKEN_LIFE_S,
    });
  }

  /** Of another token: it fits the key, and not this text. */
  #badToken(): string {
    const [head = '', payload = ''] = this.#token().split('.');
    return `${head}.${payload}.${this.#token().split('.')[2] ?? ''}`;
  }

  async #http1(
    path: string,
    token: string | undefined,
    { body, abortMs }: { readonly body?: Buffer; readonly abortMs?: number } = {},
  ): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const outgoing = request({
      agent: this.#agent,
      host: '127.0.0.1',
      port: this.#scene.port,
      path,
      method: body ? 'POST' : 'GET',
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    });
    let aborted = false;
    outgoing.on('error', (error) => (aborted ? resolve('aborted') : reject(error)));
    outgoing.on('response', (response) => {
      response.on('error', () => resolve('aborted'));
      response.on('end', () => resolve(String(response.statusCode)));
      response.resume();
    });
    outgoing.end(body);
    if (abortMs !== undefined)
      setTimeout(() => {
        aborted = true;
        outgoing.destroy();
        resolve('aborted');
      }, abortMs);
    return promise;
  }

  /** A session for some requests. It closes after the last: a request that is on its way then would be refused. */
  #http2Session(): ClientHttp2Session {
    if (this.#session && !this.#session.closed && this.#ofSession++ < SESSION_REQUESTS) return this.#session;
    if (this.#session && this.#streams.get(this.#session) === 0) this.#session.close();
    const session = connect(`http://127.0.0.1:${this.#scene.port}`);
    session.on('error', () => undefined);
    this.#ofSession = 1;
    this.#session = session;
    this.#streams.set(session, 0);
    return session;
  }

  #left(session: ClientHttp2Session): void {
    const open = (this.#streams.get(session) ?? 1) - 1;
    this.#streams.set(session, open);
    if (open === 0 && session !== this.#session) session.close();
  }

  async #http2(
    headers: OutgoingHttpHeaders,
    token: string,
    abortMs?: number,
    body?: Buffer,
  ): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const session = this.#http2Session();
    this.#streams.set(session, (this.#streams.get(session) ?? 0) + 1);
    const stream = session.request({ ...headers, authorization: `Bearer ${token}` }, { endStream: !body });
    let status = '';
    stream.on('response', (fields) => (status = String(fields[':status'])));
    stream.on('trailers', (fields) => (status += ` ${String(fields['grpc-status'])}`));
    stream.on('error', reject);
    stream.on('close', () => {
      this.#left(session);
      resolve(status);
    });
    stream.resume();
    if (body) stream.end(body);
    if (abortMs !== undefined)
      setTimeout(() => {
        resolve('aborted');
        stream.close(8);
      }, abortMs);
    return promise;
  }

  #grpc(token: string): Promise<string> {
    const headers = {
      ':method': 'POST',
      ':path': '/soak.Echo/unary',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    return this.#http2(headers, token, undefined, MESSAGE);
  }
}
