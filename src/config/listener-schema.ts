/** The shape of `listeners` and `admin` in the configuration file: sockets, and what is served there. Pure. */
import { z } from 'zod';
import { adminAuth } from './admin-auth-schema.ts';
import { DIALECTS } from '../http/original-request.ts';
import { publicUrl } from './resource-schema.ts';
import { bindAddress, name, port, text } from './scalars.ts';
import { tlsListener, tlsServer } from './tls-schema.ts';

export const listener = z
  .strictObject({
    host: bindAddress
      .prefault('0.0.0.0')
      .describe(
        'IP address that the listener binds to. 127.0.0.1: only processes on this machine can connect.',
      ),
    port: port.describe('TCP port of the listener. 0: the system chooses a free one (for tests).'),
    reuse_port: z
      .boolean()
      .prefault(false)
      .describe(
        'Lets several gateway processes share the port (SO_REUSEPORT). Set it if you run several processes yourself, each with its own admin port; workers does that by itself.',
      ),
    tls: tlsListener
      .optional()
      .describe(
        'TLS for this listener, with HTTP/2 or HTTP/1.1 over it. Set it unless a TLS proxy stands in front. A reload loads changed certificates.',
      ),
    protocols: z
      .array(z.enum(['h2', 'h2c', 'http/1.1'], 'must be h2, h2c or http/1.1'))
      .min(1)
      .optional()
      .describe(
        'Protocols that clients may speak. With tls: h2 and http/1.1, chosen in the handshake (ALPN), the preferred one first. Without: http/1.1, and h2c, which is HTTP/2 in plaintext by prior knowledge, told apart by the first bytes of a connection. Default: [h2, http/1.1] with tls, [http/1.1] without, [h2c, http/1.1] without tls but with dialect: ext_authz, which is gRPC. Add h2c for gRPC clients and for proxies that speak HTTP/2 without TLS to the gateway.',
      ),
    public_url: publicUrl
      .optional()
      .describe(
        'URL by which clients reach this listener, such as https://api.example.com. A path in it is what a proxy in front takes from the path of requests. Clients write this URL into DPoP proofs, and routes with resource take it for their identifier where they have no public_url. Set it if a proxy stands in front, or if clients use another port.',
      ),
    serve: z
      .enum(['decisions', 'redirect'], 'must be decisions or redirect, or absent')
      .optional()
      .describe(
        'What the listener does instead of forwarding. decisions: it tells another proxy (nginx, Caddy, Traefik, Envoy) whether a request may pass and who is calling. redirect: it redirects every client to https, and refuses a request that brings credentials over this plaintext connection, in the query too. Absent: it forwards.',
      ),
    https_port: port
      .optional()
      .describe(
        'Port in the redirects of a redirect listener, as clients see it. Default: 443. Change it if clients reach the TLS listener at another port.',
      ),
    dialect: z
      .enum(DIALECTS, 'must be forwarded, original, original_url, request or ext_authz')
      .optional()
      .describe(
        'Where a decision listener finds the original request; choose the one of your proxy. forwarded: X-Forwarded-Method, -Proto, -Host and -Uri (Traefik, Caddy). original: X-Original-Method, X-Original-URI and Host (nginx). original_url: X-Original-Method and X-Original-URL (ingress-nginx, which leaves a client’s own X-Original-URI in place: never use original with it). request: the request line and Host (Envoy, by HTTP). ext_authz: a message of gRPC, envoy.service.auth.v3.Authorization/Check (Envoy, Istio, Envoy Gateway): prefer it there to request, since it also removes the headers that a client may have forged.',
      ),
    trusted_peers: z
      .array(text)
      .optional()
      .describe(
        'Addresses and networks (CIDR) of the proxies that may ask a decision listener; all others get 403 (with ext_authz, PERMISSION_DENIED). Without it, all do.',
      ),
    client_cert_header: z
      .strictObject({
        peers: z
          .array(text)
          .min(1)
          .describe(
            'Addresses and networks (CIDR) of those proxies. trusted_proxies does not count here. From all other peers the header is ignored.',
          ),
      })
      .optional()
      .describe(
        'Proxies that end the TLS of clients, and write the certificate of the client into the header Client-Cert (RFC 9440) of every request, or remove the header. Tokens that are bound to a certificate (cnf, RFC 8705) are then compared with that header, and never with the certificate of the proxy’s own connection. Set it if such tokens come through a proxy that writes this header.',
      ),
  })
  .describe('A public listener: an address, a port, and what is served there.');

const adminToken = z.strictObject({
  name: name.describe(
    'Name of the person or system that uses this token. Each change records it as created_by.',
  ),
  token: text.optional().describe('The token. Prefer token_file, which keeps it out of this file.'),
  token_file: text.optional().describe('File that contains the token.'),
});

export const admin = z
  .strictObject({
    host: bindAddress
      .prefault('127.0.0.1')
      .describe(
        'IP address that the admin listener binds to. Change it only if metrics or the API are used from another machine; then set tls, too.',
      ),
    port: port
      .prefault(9090)
      .describe('TCP port of the admin listener. 0: the system chooses a free one (for tests).'),
    tls: tlsServer
      .optional()
      .describe(
        'TLS for the admin listener. Set it if host is not a loopback address. A reload loads changed certificates.',
      ),
    token: text
      .optional()
      .describe('Bearer token of the admin API. Prefer token_file, which keeps it out of this file.'),
    token_file: text
      .optional()
      .describe(
        'File that contains the bearer token of the admin API. Without a token, and without admin.auth, /v1/ and the admin page are off.',
      ),
    tokens: z
      .array(adminToken)
      .min(1)
      .optional()
      .describe(
        'Several named admin tokens instead of one. Use them to see who made a change, and to withdraw one token alone.',
      ),
    auth: adminAuth.optional(),
    hosts: z
      .array(text)
      .prefault([])
      .describe(
        'Host names under which the admin API is reached, besides IP addresses and localhost. Requests with another Host are refused (against DNS rebinding). Add the DNS name that your tools use.',
      ),
  })
  .describe(
    'The admin listener: health, metrics, the revocation API and the admin page. Never make it public.',
  );
