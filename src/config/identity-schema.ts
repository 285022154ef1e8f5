/** The shape of `identity` in the configuration file: what upstreams learn about the caller. Pure. */
import { z } from 'zod';
import { DEFAULT_IDENTITY_HEADERS } from './identity-map.ts';
import { hostName } from './host-scalars.ts';
import { headerName, identityHeaders, positiveDuration, positiveSize, routePath, text } from './scalars.ts';

const publish = z
  .strictObject({
    host: hostName.describe('Host name under which services ask for the keys, without port.'),
    path: routePath
      .prefault('/.well-known/sallyport/jwks.json')
      .describe('Exact path of the keys. It must not be all that a route matches.'),
  })
  .describe(
    'Serves the public keys of the assertion on the public listeners that forward, at this host and path (GET, without a token). Set it if services have no way to the admin listener. A key that a reload takes out stays there until its last assertion expires.',
  );

const assertion = z
  .strictObject({
    header: headerName
      .prefault('X-Identity-Assertion')
      .describe('Name of the header that carries the assertion.'),
    key_file: text.describe(
      'File that contains a private JWK (Ed25519 or P-256) or a JWK Set of them. The first key signs; the public part of every key is published. To change keys, add the new one at the end, and put it first a minute later, when services have it; then take the old one out.',
    ),
    lifetime: positiveDuration
      .prefault('60s')
      .describe('How long an assertion is valid (exp - iat). Keep it short.'),
    claims: z
      .array(text)
      .prefault(['sub', 'client_id', 'scope'])
      .describe(
        'Top-level claims of the token that the assertion repeats. sub, client_id and scope are those of claim_names, whichever claims the issuer uses.',
      ),
    publish: publish.optional(),
  })
  .describe(
    'A JWT about the caller, signed by the gateway. Set it if services must verify that the identity comes from the gateway. Public keys: /.well-known/sallyport/jwks.json on the admin listener, and where publish says.',
  );

export const identity = z
  .strictObject({
    headers: identityHeaders
      .prefault(DEFAULT_IDENTITY_HEADERS)
      .describe(
        'Identity headers: header name to value. A value is a claim path (a dot separates levels; "\\." is a dot in a name), a normalized claim ($subject, $client, $scopes separated by spaces, $session, $tenant, $issuer: see claim_names of the issuer), $keys(path) for the names within an object, or a list of these of which the first that is present counts. Your entries are merged over the four defaults: an entry replaces the same name (case does not count, and _ or . count as -), null removes it. The gateway removes the four names, and every name in this map or in a route, from each client request on every route, whether or not it sets them.',
      ),
    max_bytes: positiveSize
      .prefault('8KiB')
      .describe(
        'Largest size in bytes of all identity headers of a request. A larger one is refused with 403. Raise it if your claims are long and your services accept such headers.',
      ),
    assertion: assertion.optional(),
    forward_authorization: z
      .boolean()
      .prefault(false)
      .describe(
        'Passes Authorization on to the upstream. Set it only for a service that must see the token itself.',
      ),
  })
  .describe('What upstreams learn about the caller.');
