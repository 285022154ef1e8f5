import { hasKeyPrefix, isKeyText, keySha256 } from '../api-keys/key-text.ts';
import { dateText } from '../explain/format-date.ts';
import { readJwt } from '../token/lexical-gate.ts';
import type { JsonObject, JsonValue } from '../token/claims.ts';
import { numberOf } from '../token/claims.ts';
import { bindingOf } from '../token/token-binding.ts';
import { toJson } from '../token/strict-json.ts';
import { unpresentableText } from '../token/token-text.ts';
import { CommandFailed, flag, JSON_OPTION, print, readToken, UsageError, type Command } from './command.ts';

/** NumericDates (RFC 7519 section 4.1, OpenID Connect). */
const DATES: ReadonlySet<string> = new Set(['exp', 'nbf', 'iat', 'auth_time', 'updated_at']);

export const decode: Command = {
  name: 'decode',
  summary: 'prints the header and the claims of a JWT, NOT VERIFIED; or the digest of an API key',
  usage:
    '(--token-file F | -) [--json]\n\n      --token-file F   file that holds the token; - is standard input',
  options: { ...JSON_OPTION, 'token-file': { type: 'string' } },
  positionals: { min: 0, max: 1 },
  async run(args) {
    const token = readToken(args);
    if (token === undefined)
      throw new UsageError('no token; give --token-file F, or - and the token on standard input');
    if (hasKeyPrefix(token)) return describeKey(token, flag(args, 'json'));
    const { header, claims } = decoded(token);
    if (flag(args, 'json')) {
      print(`{"verified":false,"header":${toJson(header)},"claims":${toJson(claims)}}`);
      return 0;
    }
    print('NOT VERIFIED: anyone can have written this.\n');
    print(`header\n${membersText(header)}\n\nclaims\n${membersText(claims)}`);
    return 0;
  },
};

/** A key says nothing of whose it is. Its digest finds its entry. */
function describeKey(key: string, asJson: boolean): number {
  if (!isKeyText(key))
    throw new CommandFailed(
      'this begins like an API key, but its form or its checksum is wrong: a character was lost or changed',
    );
  const sha256 = keySha256(key);
  if (asJson) print(JSON.stringify({ verified: false, api_key: true, sha256 }));
  else
    print(
      `an API key; its checksum is right, and it has no claims\nsha256: ${sha256}\nThe entry with this sha256 says whose it is, and so does "sallyport explain".`,
    );
  return 0;
}

function decoded(token: string): { header: JsonObject; claims: JsonObject } {
  try {
    const jwt = readJwt(token);
    if (jwt) return jwt;
  } catch {
    throw new CommandFailed(
      'this is a JWT, but not a well-formed one: its encoding, its JSON or its header is not as RFC 7515 has it',
    );
  }
  const fault = unpresentableText(token, true);
  if (fault !== undefined) throw new CommandFailed(fault);
  throw new CommandFailed(
    'this is no JWT: it is not three base64url parts of which the first is a header with "alg"',
  );
}

function membersText(object: JsonObject): string {
  return Object.entries(object)
    .map(
      ([name, value]) =>
        `  ${JSON.stringify(name)}: ${toJson(value)}${dateOf(name, value)}${bindingOfClaim(name, value)}`,
    )
    .join('\n');
}

function dateOf(name: string, value: JsonValue): string {
  const seconds = DATES.has(name) ? numberOf(value) : undefined;
  return seconds === undefined ? '' : `   ${dateText(seconds, Date.now())}`;
}

/** What the holder of the token must show (RFC 7800 section 3.1). */
function bindingOfClaim(name: string, value: JsonValue): string {
  if (name !== 'cnf') return '';
  const binding = bindingOf([{ cnf: value }]);
  if (binding === undefined || binding === 'unknown')
    return '   bound to what the gateway cannot check: it refuses the token';
  const { keyThumbprint, certificateThumbprint } = binding;
  const needs = [
    ...(keyThumbprint === undefined ? [] : ['a DPoP proof by the key with the thumbprint jkt']),
    ...(certificateThumbprint === undefined ? [] : ['the client certificate with the SHA-256 x5t#S256']),
  ];
  return `   bound: it passes only with ${needs.join(' and ')}`;
}
