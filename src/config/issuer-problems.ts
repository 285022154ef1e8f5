/** What is wrong with issuers beyond their shape: keys that exclude each other, weak secrets, endpoints in the way. Pure. */
import { isLoopback } from '../http/loopback.ts';
import { CANARY_ISSUER } from '../revocation/canary.ts';
import { algorithmProblems } from './algorithm-problems.ts';
import { keyIssuerProblems, keyPrefixProblems } from './api-key-problems.ts';
import { claimRuleProblems } from './claim-rule-problems.ts';
import { besideKeysProblems } from './fresh-problems.ts';
import { introspectionProblems } from './introspection-problems.ts';
import { issuerHttpProblems } from './issuer-http-problems.ts';
import { isKeyIssuer, isOpaqueIssuer, OPAQUE_SOURCES } from './issuer-schema.ts';
import { KEY_SET_SOURCES, KEY_SOURCES, SECRET_SOURCES } from './key-sources.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, type Path, type Raw } from './raw-document.ts';
import { statusListProblems } from './status-list-problems.ts';
import { tenantProblems } from './tenant-problems.ts';

/** Beside the sources of keys. */
const JWT_ONLY = [
  'tenants',
  'no_iss',
  'algorithms',
  'token_type',
  'max_lifetime',
  'keys',
  'backchannel_logout',
  'global_token_revocation',
  'status_list',
] as const;

/** Of those, what is for signed introspection responses, too. */
const SIGNED_RESPONSES: readonly string[] = ['algorithms', 'keys'];

export function issuerProblems(issuer: Raw, path: Path): Problem[] {
  if (isKeyIssuer(issuer)) return keyIssuerProblems(issuer, path);
  const sources = KEY_SOURCES.filter((key) => issuer[key] !== undefined);
  return [
    ...(isOpaqueIssuer(issuer) ? opaqueProblems(issuer, sources, path) : jwtProblems(issuer, sources, path)),
    ...keyPrefixProblems(issuer, path),
    ...urlProblems(issuer, path),
    ...algorithmProblems(issuer, path),
    ...kindProblems(issuer, path),
    ...logoutNameProblems(issuer, path),
    ...claimRuleProblems(issuer['claims'], undefined, [...path, 'claims']),
    ...issuerHttpProblems(issuer, path),
    ...tenantProblems(issuer, path),
    ...statusListProblems(issuer, path),
  ];
}

function opaqueProblems(issuer: Raw, keySources: readonly string[], path: Path): Problem[] {
  const [kind = '', second] = OPAQUE_SOURCES.filter((source) => issuer[source] !== undefined);
  const isSigned = rawOf(issuer['introspection'])['signed_response'] === true;
  const forJwts = [...keySources, ...JWT_ONLY].filter(
    (key) => issuer[key] !== undefined && !(isSigned && SIGNED_RESPONSES.includes(key)),
  );
  return [
    ...(second === undefined
      ? []
      : [atKey([...path, second], `${kind} and ${second} exclude each other; keep one`)]),
    ...forJwts.map((key) =>
      atKey([...path, key], `is for JWTs and has no meaning beside ${kind}; remove one of them`),
    ),
    ...introspectionProblems(issuer, path),
    ...validationProblems(issuer, path),
  ];
}

function jwtProblems(issuer: Raw, keySources: readonly string[], path: Path): Problem[] {
  const isRemote = issuer['discovery'] !== undefined || issuer['jwks_url'] !== undefined;
  return [
    ...keySourceProblems(keySources, path),
    ...besideKeysProblems(issuer, path),
    ...introspectionProblems(issuer, path),
    ...(issuer['validation'] === undefined
      ? []
      : [
          atKey(
            [...path, 'validation'],
            'is for opaque tokens and has no meaning beside keys; remove one of them',
          ),
        ]),
    ...(!isRemote && rawOf(issuer['keys'])['cache_dir'] !== undefined
      ? [
          atKey(
            [...path, 'keys', 'cache_dir'],
            'has no meaning, since the keys are in the configuration; remove it',
          ),
        ]
      : []),
    ...(issuer['issuer'] === undefined && issuer['no_iss'] !== true
      ? [{ path, message: 'has no issuer; add issuer: the exact iss of its tokens' }]
      : []),
    ...(issuer['no_iss'] === true ? withoutIssProblems(issuer, path) : []),
    ...(issuer['token_prefix'] === undefined
      ? []
      : [atKey([...path, 'token_prefix'], 'is for opaque tokens only; remove it')]),
  ];
}

/** What its tokens could only be told by, or found by, with an `iss`. */
function withoutIssProblems(issuer: Raw, path: Path): Problem[] {
  const reasons = {
    issuer: 'and no_iss exclude each other; keep one',
    discovery: 'starts from issuer, which there is none of with no_iss; use jwks_url',
    backchannel_logout: 'has no meaning with no_iss: a logout token always has an iss; remove one of them',
    global_token_revocation: 'has no meaning with no_iss: its JWTs always have an iss; remove one of them',
  };
  return Object.entries(reasons).flatMap(([key, message]) =>
    issuer[key] === undefined ? [] : [atKey([...path, key], message)],
  );
}

function keySourceProblems(sources: readonly string[], path: Path): Problem[] {
  if (sources.length === 0)
    return [
      {
        path,
        message: `has no source of keys; add one of discovery: true, jwks_url, jwks_file, jwks, hmac_secret_file (or introspection or validation, for opaque tokens; api_keys, for API keys)`,
      },
    ];
  return [KEY_SET_SOURCES, SECRET_SOURCES].flatMap((kind) => {
    const given = kind.filter((source) => sources.includes(source));
    const [, second] = given;
    return second === undefined
      ? []
      : [atKey([...path, second], `${given.join(' and ')} exclude each other; keep one`)];
  });
}

const atKey = (path: Path, message: string): Problem => ({ path, atKey: true, message });

/** A logout names a session or a subject: without a claim for it no token would end. */
function logoutNameProblems(issuer: Raw, path: Path): Problem[] {
  if (issuer['backchannel_logout'] === undefined) return [];
  const names = rawOf(issuer['claim_names']);
  return ['session', 'subject']
    .filter((kind) => names[kind] === null)
    .map((kind) => ({
      path: [...path, 'claim_names', kind],
      message: `is null, and backchannel_logout ends tokens by it; name the claim with the ${kind}`,
    }));
}

/** An ID token is for the client in its `aud`: without audiences those of every client would pass (rule J18). */
function kindProblems(issuer: Raw, path: Path): Problem[] {
  if (issuer['token_type'] !== 'id_token' || issuer['audiences'] !== undefined) return [];
  return [
    {
      path: [...path, 'token_type'],
      message: 'id_token needs audiences; add the client ids whose ID tokens may pass',
    },
  ];
}

function validationProblems(issuer: Raw, path: Path): Problem[] {
  const { method, send, valid = ['2xx'], invalid = [401, 403, 404] } = rawOf(issuer['validation']);
  const { in: place = 'json', name } = rawOf(send);
  const problems: Problem[] = [];
  if (method === 'GET' && place !== 'header') {
    problems.push({
      path: [...path, 'validation', 'method'],
      message: 'GET has no body to carry the token; add send: { in: header }, or use POST',
    });
  }
  if (place === 'header' && typeof name === 'string' && !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    problems.push({
      path: [...path, 'validation', 'send', 'name'],
      message: 'is no header name; correct it',
    });
  }
  const both = listOf(invalid).find((status) => listOf(valid).includes(status));
  if (both !== undefined) {
    problems.push({
      path: [...path, 'validation'],
      message: `${JSON.stringify(both)} is in valid and in invalid; keep it in one`,
    });
  }
  return problems;
}

/** Keys and responses decide who may pass: they travel encrypted, or do not leave the machine (rule K4). */
function urlProblems(issuer: Raw, path: Path): Problem[] {
  const urls: [Path, unknown][] = [
    [[...path, 'jwks_url'], issuer['jwks_url']],
    ...OPAQUE_SOURCES.map((source): [Path, unknown] => [
      [...path, source, 'url'],
      rawOf(issuer[source])['url'],
    ]),
  ];
  const { signed_response: isSigned, jwks_url: signers } = rawOf(issuer['introspection']);
  if (signers !== undefined) urls.push([[...path, 'introspection', 'jwks_url'], signers]);
  if (issuer['discovery'] === true || (isSigned === true && signers === undefined))
    urls.push([[...path, 'issuer'], issuer['issuer']]);
  return urls.flatMap(([where, url]) => {
    if (typeof url !== 'string') return [];
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      return where.at(-1) === 'issuer'
        ? [
            {
              path: where,
              message: 'must be an https:// URL, since discovery starts from it; correct it, or use jwks_url',
            },
          ]
        : [];
    }
    const { protocol, hostname } = new URL(url);
    if (protocol === 'https:' || isLoopback(hostname) || issuer['allow_http'] === true) return [];
    return [
      {
        path: where,
        message: 'must be https:// or loopback; change it, or set allow_http: true and know the risk',
      },
    ];
  });
}

export function duplicateIssuers(issuers: Raw): Problem[] {
  const seen = new Map<string, string>();
  return Object.entries(issuers).flatMap(([name, value]) => {
    const { issuer } = rawOf(value);
    if (typeof issuer !== 'string' || isOpaqueIssuer(rawOf(value))) return [];
    const other = seen.get(issuer);
    seen.set(issuer, name);
    return other === undefined
      ? []
      : [
          {
            path: ['issuers', name, 'issuer'],
            message: `is the same as that of issuers.${other}; merge the two`,
          },
        ];
  });
}

/** The name of an issuer stands for its `iss` in revocations, and in X-Token-Issuer where its tokens have none. */
export function issuerNameProblems(issuers: Raw): Problem[] {
  return Object.entries(issuers).flatMap(([name, value]) => {
    const { issuer } = rawOf(value);
    const path = ['issuers', name, 'issuer'];
    if (issuer === CANARY_ISSUER)
      return [{ path, message: 'is reserved for canaries of the revocation list; write the exact iss' }];
    if (issuer === '*')
      return [{ path, message: 'must not be *, which stands for every issuer; write the exact iss' }];
    return typeof issuer === 'string' && issuer !== name && Object.hasOwn(issuers, issuer)
      ? [{ path, message: `is the name of issuers.${issuer} too; give that one another name` }]
      : [];
  });
}
