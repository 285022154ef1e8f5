/**
 * The demo's upstream: a cookie factory. It never sees a token; it reads who is calling from the gateway's
 * identity headers and returns what it read. It also has its own validation service for plain opaque tokens:
 * POST /issue and POST /validate. GET /served says how many requests have arrived from the gateway.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CookieFactory {
  readonly url: string;
  /** Requests that arrived from the gateway. */
  readonly served: () => number;
  close(): Promise<void>;
}

const IDENTITY_HEADERS = ['x-user-id', 'x-client-id', 'x-scopes', 'x-token-issuer'];

export async function startCookieFactory(port: number, host = '127.0.0.1'): Promise<CookieFactory> {
  const issued = new Map<string, object>();
  let served = 0;
  const server = createServer((request, response) => {
    void respond(request, response);
  });
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readJson(request);
    switch (`${request.method} ${request.url}`) {
      case 'POST /issue': {
        const token = randomBytes(24).toString('base64url');
        issued.set(token, { sub: 'night-shift', scope: 'cookies:read' });
        return json(response, 200, { token });
      }
      case 'POST /validate': {
        const claims = issued.get(String(body['token']));
        return claims ? json(response, 200, { claims }) : json(response, 401, { error: 'unknown token' });
      }
      case 'GET /served':
        return json(response, 200, served);
      default: {
        served++;
        const read = IDENTITY_HEADERS.flatMap((name): [string, unknown][] => {
          const value = request.headers[name];
          return value === undefined ? [] : [[name, value]];
        });
        return json(response, 200, {
          cookies: ['chocolate chip', 'oatmeal'],
          i_read: Object.fromEntries(read),
        });
      }
    }
  };
  server.listen(port, host);
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    served: () => served,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function json(response: ServerResponse, status: number, body: object | number): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString();
  try {
    return JSON.parse(text || '{}') as Record<string, unknown>;
  } catch {
    return {};
  }
}
