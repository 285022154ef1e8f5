/**
 * A gateway as a team would put it together: fastify with @fastify/jwt and its cache, and @fastify/reply-from. It is installed into a
 * folder of its own. Arguments: that folder, and a file of options.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

interface Claims {
  readonly sub: string;
  readonly scope: string;
}

interface Reply {
  code(status: number): Reply;
  send(body: string): Reply;
  from(path: string, options: object): Reply;
}

interface Server {
  register(plugin: unknown, options: object): void;
  get(path: string, handler: (request: FastifyRequest, reply: Reply) => Promise<Reply>): void;
  listen(options: object): Promise<string>;
}

interface FastifyRequest {
  readonly url: string;
  jwtVerify(): Promise<Claims>;
}

interface Options {
  readonly port: number;
  readonly upstreamPort: number;
  readonly issuer: string;
  readonly audience: string;
  readonly publicPem: string;
  readonly algorithm: string;
}

const [folder = '', file = ''] = process.argv.slice(2);
const { port, upstreamPort, issuer, audience, publicPem, algorithm } = JSON.parse(
  readFileSync(file, 'utf8'),
) as Options;
const load = createRequire(join(folder, 'package.json'));
const server = (load('fastify') as (options: object) => Server)({ logger: false });
server.register(load('@fastify/jwt'), {
  secret: { public: publicPem },
  verify: { algorithms: [algorithm], allowedIss: issuer, allowedAud: audience, cache: true },
});
server.register(load('@fastify/reply-from'), {
  base: `http://127.0.0.1:${upstreamPort}`,
  undici: { connections: 64, pipelining: 1 },
});
server.get('/*', async (request, reply) => {
  let claims: Claims;
  try {
    claims = await request.jwtVerify();
  } catch {
    return reply.code(401).send('refused');
  }
  return reply.from(request.url, {
    rewriteRequestHeaders: (_: unknown, { authorization: _token, ...headers }: Record<string, string>) => ({
      ...headers,
      'x-user-id': claims.sub,
      'x-scopes': claims.scope,
    }),
  });
});
await server.listen({ port, host: '127.0.0.1' });
