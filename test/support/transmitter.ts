/** A transmitter of security events: makes security event tokens, and pushes them. */
import { randomUUID } from 'node:crypto';
import { createKey, ISSUER, mint, nowSeconds, type SigningKey } from './tokens.ts';

export const TRANSMITTER = 'https://signals.example.com';
export const RECEIVER = 'https://gateway.example.com/signals';
export const PUSH_PATH = '/signals/push';
export const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
export const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

export const transmitterKey = createKey('ES256');

export const userSubject = (sub: string, iss = ISSUER): Record<string, unknown> => ({
  format: 'iss_sub',
  iss,
  sub,
});
export const opaque = (id: string): Record<string, unknown> => ({ format: 'opaque', id });

/** Claims of a token with one event, with changes; undefined removes a claim. */
export function setClaims(
  event: string,
  subject: unknown,
  payload: Record<string, unknown> = {},
  changes: Record<string, unknown> = {},
): Record<string, unknown> {
  const claims = {
    iss: TRANSMITTER,
    aud: RECEIVER,
    iat: nowSeconds(),
    jti: randomUUID(),
    txn: '8675309',
    sub_id: subject,
    events: { [event]: payload },
    ...changes,
  };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}

export function mintSet(
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
  key: SigningKey = transmitterKey,
): string {
  return mint(key, claims, { typ: 'secevent+jwt', ...header });
}

/** The transmitter as the configuration has it. */
export function transmitterOf(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    issuer: TRANSMITTER,
    jwks: { keys: [transmitterKey.jwk] },
    audiences: [RECEIVER],
    for: ['login'],
    push: { host: '127.0.0.1', path: PUSH_PATH },
    ...changes,
  };
}

export function push(url: string, set: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}${PUSH_PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...headers },
    body: set,
  });
}
