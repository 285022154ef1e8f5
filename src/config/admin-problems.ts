/** What is wrong with `admin` beyond its shape: an issuer that cannot sign operators in, tokens that are easy to guess. Pure. */
import { claimPathProblems } from './identity-problems.ts';
import { isKeyIssuer, isOpaqueIssuer } from './issuer-schema.ts';
import type { Problem } from './problem.ts';
import { isRaw, rawOf, stringsOf, type Path, type Raw } from './raw-document.ts';
import type { Configuration } from './schema.ts';
import { nearest } from './suggest.ts';

/** Shorter admin tokens are refused. */
const SHORTEST_TOKEN_CHARACTERS = 16;
/** Shorter ones are a warning: `openssl rand -base64 32` makes 44. */
const GOOD_TOKEN_CHARACTERS = 32;

/** What a header field can carry. */
const SENDABLE = /^[\x20-\x7e]+$/;

const AT: Path = ['admin', 'auth'];

export function adminAuthProblems(admin: Raw, issuers: Raw): Problem[] {
  const auth = admin['auth'];
  if (!isRaw(auth)) return [];
  const name = auth['issuer'];
  if (typeof name !== 'string') return [];
  return [
    ...issuerProblems(name, issuers),
    ...audienceProblems(auth['audience'], issuers),
    ...scopeProblems(rawOf(auth['scopes'])),
    ...(auth['name_claim'] === undefined ? [] : claimPathProblems(auth['name_claim'], [...AT, 'name_claim'])),
  ];
}

function issuerProblems(name: string, issuers: Raw): Problem[] {
  const path = [...AT, 'issuer'];
  if (!Object.hasOwn(issuers, name)) {
    const near = nearest(name, Object.keys(issuers));
    return [
      {
        path,
        message: `there is no issuer "${name}"; ${near === undefined ? 'add it under issuers' : `did you mean "${near}"?`}`,
      },
    ];
  }
  const issuer = rawOf(issuers[name]);
  const fault =
    isOpaqueIssuer(issuer) || isKeyIssuer(issuer)
      ? 'does not issue JWTs'
      : issuer['token_type'] === 'id_token'
        ? 'is for ID tokens, which never sign an operator in'
        : issuer['tenants'] !== undefined
          ? 'has the tokens of many tenants'
          : issuer['no_iss'] === true
            ? 'issues tokens without iss'
            : undefined;
  return fault === undefined
    ? []
    : [{ path, message: `"${name}" ${fault}; name an issuer of JWT access tokens with one URL` }];
}

function audienceProblems(audience: unknown, issuers: Raw): Problem[] {
  const taken = Object.entries(issuers).find(
    ([, issuer]) => typeof audience === 'string' && stringsOf(rawOf(issuer)['audiences']).includes(audience),
  );
  return taken
    ? [
        {
          path: [...AT, 'audience'],
          message: `is an audience of issuers.${taken[0]} too, so that tokens of applications would sign in; register another one for the admin API`,
        },
      ]
    : [];
}

/** RFC 6749 section 3.3: a token has no other scopes. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

function scopeProblems(scopes: Raw): Problem[] {
  const taken = new Map<string, string>();
  return Object.entries(scopes).flatMap(([role, scope]): Problem[] => {
    if (typeof scope !== 'string' || scope === '') return [];
    const path = [...AT, 'scopes', role];
    if (!SCOPE.test(scope))
      return [{ path, message: 'must be one scope, which no space, quote or backslash is in; correct it' }];
    const other = taken.get(scope);
    taken.set(scope, role);
    return other === undefined
      ? []
      : [{ path, message: `is the scope of ${other} too, so that both are one role; name another` }];
  });
}

/** @param configuration with its secrets in place */
export function adminTokenProblems(admin: Configuration['admin']): Problem[] {
  return adminTokens(admin).flatMap(({ path, token }) => {
    // An empty file has its message already.
    if (token === '') return [];
    const fault =
      token.length < SHORTEST_TOKEN_CHARACTERS
        ? `has fewer than ${SHORTEST_TOKEN_CHARACTERS} characters, and can be guessed`
        : SENDABLE.test(token)
          ? undefined
          : 'has a line break or a character beyond ASCII, so that no client can send it';
    return fault === undefined ? [] : [{ path, message: `${fault}; make another (openssl rand -base64 32)` }];
  });
}

export function shortAdminTokens({ admin }: Configuration): string[] {
  return adminTokens(admin)
    .filter(({ token }) => token.length < GOOD_TOKEN_CHARACTERS)
    .map(
      ({ path }) =>
        `${pathText(path)}: has fewer than ${GOOD_TOKEN_CHARACTERS} characters; make a longer one (openssl rand -base64 32)`,
    );
}

function pathText(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : part))
    .join('.')
    .replaceAll('.[', '[');
}

interface PlacedToken {
  readonly path: Path;
  readonly token: string;
}

function adminTokens({ token, token_file, tokens = [] }: Configuration['admin']): PlacedToken[] {
  const keyOf = (file: string | undefined): string => (file === undefined ? 'token' : 'token_file');
  return [
    { path: ['admin', keyOf(token_file)], token },
    ...tokens.map((each, index) => ({
      path: ['admin', 'tokens', index, keyOf(each.token_file)],
      token: each.token,
    })),
  ].flatMap(({ path, token: value }) => (value === undefined ? [] : [{ path, token: value }]));
}
