/**
 * A transmitter of security events that is polled (RFC 8936) and manages streams (OpenID SSF 1.0), by HTTP. It keeps a signal until it is
 * acknowledged or refused.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { createKey, mint, nowSeconds, type SigningKey } from './tokens.ts';
import { startServer } from './upstream.ts';

export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';
export const TRANSMITTER_TOKEN = 'token-of-the-gateway';

type Document = Readonly<Record<string, unknown>>;

export interface SeenCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Document;
}

export interface HttpTransmitterOptions {
  readonly key?: SigningKey;
  readonly audience?: string;
}

export class HttpTransmitter {
  url = '';
  readonly key: SigningKey;
  readonly audience: string;
  /** Signals that are not yet acknowledged, by `jti`. */
  readonly held = new Map<string, string>();
  readonly acknowledged = new Set<string>();
  readonly refused: Record<string, Document> = {};
  readonly calls: SeenCall[] = [];
  readonly streams = new Map<string, Record<string, unknown>>();
  status = 'enabled';
  ignoresChanges = false;
  /** Tokens that it accepts. */
  readonly accepts = new Set([TRANSMITTER_TOKEN]);
  /** What it says of itself, besides its own endpoints. */
  metadata: Document = {};
  /** By path: what it sends instead. */
  readonly instead = new Map<string, (response: ServerResponse) => void>();
  #waiting: () => void = () => undefined;

  constructor({
    key = createKey('ES256'),
    audience = 'https://gateway.example.com/signals',
  }: HttpTransmitterOptions) {
    this.key = key;
    this.audience = audience;
  }

  /** Holds a signal with this event, and tells its `jti`. */
  offer(event: string, payload: Document = {}, claims: Document = {}): string {
    const jti = (claims['jti'] as string | undefined) ?? randomUUID();
    const all = {
      iss: this.url,
      aud: this.audience,
      iat: nowSeconds(),
      jti,
      events: { [event]: payload },
      ...claims,
    };
    this.hold(jti, mint(this.key, all, { typ: 'secevent+jwt' }));
    return jti;
  }

  hold(jti: string, token: string): void {
    this.held.set(jti, token);
    this.#waiting();
  }

  callsOf(method: string, path: string): SeenCall[] {
    return this.calls.filter((call) => call.method === method && call.path.split('?')[0] === path);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request).catch(() => '');
    const { method = '', url: path = '' } = request;
    const { authorization } = request.headers;
    const document = bodyOf(body, request.headers['content-type']);
    this.calls.push({ method, path, authorization, body: document });
    const { pathname, searchParams } = new URL(path, this.url);
    const instead = this.instead.get(pathname);
    if (instead) return instead(response);
    const isPublic = pathname.startsWith('/.well-known/') || pathname === '/jwks' || pathname === '/token';
    if (!isPublic && !this.accepts.has(authorization?.replace(/^Bearer /, '') ?? ''))
      return send(response, 401, {});
    const id = searchParams.get('stream_id') ?? (document['stream_id'] as string | undefined);
    switch (pathname) {
      case '/.well-known/ssf-configuration':
        return send(response, 200, this.#configuration());
      case '/jwks':
        return send(response, 200, { keys: [this.key.jwk] });
      case '/token':
        return send(response, 200, this.#token());
      case '/poll':
        return this.#poll(document, response);
      case '/streams':
        return this.#stream(method, id, document, response);
      case '/status':
        if (method === 'POST') this.status = document['status'] as string;
        return send(response, 200, { stream_id: id, status: this.status });
      case '/verify':
        this.offer(`${SSF}verification`, { state: document['state'] }, { sub_id: { format: 'opaque', id } });
        return send(response, 204, undefined);
      default:
        return send(response, 404, {});
    }
  }

  #configuration(): Document {
    return {
      issuer: this.url,
      jwks_uri: `${this.url}/jwks`,
      configuration_endpoint: `${this.url}/streams`,
      status_endpoint: `${this.url}/status`,
      verification_endpoint: `${this.url}/verify`,
      ...this.metadata,
    };
  }

  #token(): Document {
    const token = randomUUID();
    this.accepts.add(token);
    return { access_token: token, token_type: 'Bearer', expires_in: 3_600 };
  }

  async #poll(body: Document, response: ServerResponse): Promise<void> {
    const {
      ack = [],
      setErrs = {},
      maxEvents = 100,
      returnImmediately,
    } = body as {
      ack?: string[];
      setErrs?: Record<string, Document>;
      maxEvents?: number;
      returnImmediately?: boolean;
    };
    for (const jti of ack) this.acknowledged.add(jti);
    Object.assign(this.refused, setErrs);
    for (const jti of [...ack, ...Object.keys(setErrs)]) this.held.delete(jti);
    if (returnImmediately !== true && this.held.size === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = resolve;
      response.on('close', resolve);
      await promise;
    }
    const sets = Object.fromEntries([...this.held].slice(0, maxEvents));
    send(response, 200, { sets, moreAvailable: this.held.size > maxEvents });
  }

  #stream(method: string, id: string | undefined, body: Document, response: ServerResponse): void {
    const known = id === undefined ? undefined : this.streams.get(id);
    if (method === 'POST') return send(response, 201, this.makeStream(body));
    if (method === 'GET' && id === undefined) return send(response, 200, [...this.streams.values()]);
    if (!known) return send(response, 404, {});
    if (method === 'PATCH' && !this.ignoresChanges) Object.assign(known, this.#filled(body));
    send(response, 200, known);
  }

  makeStream(body: Document): Document {
    const stream = { stream_id: randomUUID(), iss: this.url, aud: this.audience, ...this.#filled(body) };
    this.streams.set(stream.stream_id, stream);
    return stream;
  }

  /** With what the transmitter supplies. */
  #filled(body: Document): Document {
    const delivery = body['delivery'] as Document | undefined;
    const isPolled = delivery?.['method'] === 'urn:ietf:rfc:8936';
    return {
      ...body,
      ...(isPolled && { delivery: { ...delivery, endpoint_url: `${this.url}/poll` } }),
      ...(body['events_requested'] !== undefined && { events_delivered: body['events_requested'] }),
    };
  }
}

export async function startHttpTransmitter(
  t: Test,
  options: HttpTransmitterOptions = {},
): Promise<HttpTransmitter> {
  const transmitter = new HttpTransmitter(options);
  transmitter.url = await startServer(t, (request, response) => void transmitter.serve(request, response));
  return transmitter;
}

function bodyOf(body: string, type = ''): Document {
  if (body === '') return {};
  if (type.startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(body));
  return JSON.parse(body) as Document;
}

function send(response: ServerResponse, status: number, document: unknown): void {
  response.writeHead(status, document === undefined ? {} : { 'content-type': 'application/json' });
  response.end(document === undefined ? undefined : JSON.stringify(document));
}
