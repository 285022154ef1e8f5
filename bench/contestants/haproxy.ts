/** HAProxy with jwt_verify. It has no cache: it verifies every token each time. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NAMES } from '../goals.ts';
import { KINDS, type KindName } from '../kinds.ts';
import { haproxyVersion } from '../programs.ts';
import type { Contestant } from './contestant.ts';

export const haproxy: Contestant = {
  name: NAMES.haproxy,
  version: haproxyVersion,
  kinds: Object.keys(KINDS) as KindName[],
  blindTo: [],
  warmsUp: false,
  start({ folder, port, upstreamPort, credentials: { algorithm, issuer, audience, publicPem } }) {
    const [file, key] = [join(folder, 'haproxy.cfg'), join(folder, 'public.pem')];
    writeFileSync(key, publicPem);
    writeFileSync(
      file,
      `global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option http-keep-alive
frontend in
  bind 127.0.0.1:${port}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str ${algorithm} }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${issuer} }
  http-request deny deny_status 401 unless { var(txn.aud) -m str ${audience} }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${key}") -m int 1 }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request set-header x-user-id %[var(txn.bearer),jwt_payload_query('$.sub')]
  http-request set-header x-scopes %[var(txn.bearer),jwt_payload_query('$.scope')]
  http-request del-header authorization
  default_backend out
backend out
  http-reuse always
  server up 127.0.0.1:${upstreamPort}
`,
    );
    return { command: ['haproxy', '-f', file] };
  },
};
