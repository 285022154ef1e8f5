/** What is wrong with `issuers.NAME.http` and with the URLs that it is for. Pure. */
import { isLoopback } from '../http/loopback.ts';
import type { Problem } from './problem.ts';
import { rawOf, stringsOf, textOf, type Path, type Raw } from './raw-document.ts';

/** A URL of an issuer that the gateway calls, and where the configuration has it. */
export interface CalledUrl {
  readonly key: readonly string[];
  readonly url: string;
}

/**
 * The URLs that the configuration of an issuer, or of a transmitter of signals, names, of any shape; the issuer itself where
 * discovery starts from it.
 */
export function calledUrls(issuer: Raw): CalledUrl[] {
  const { discovery, issuer: iss, jwks_url: keys } = issuer;
  const introspection = rawOf(issuer['introspection']);
  const isDiscovered =
    discovery === true ||
    (introspection['signed_response'] === true && introspection['jwks_url'] === undefined) ||
    hasDiscoveredStream(issuer);
  const found: [readonly string[], unknown][] = [
    [['jwks_url'], keys],
    [['introspection', 'url'], introspection['url']],
    [['introspection', 'jwks_url'], introspection['jwks_url']],
    [['validation', 'url'], rawOf(issuer['validation'])['url']],
    [['poll', 'url'], rawOf(issuer['poll'])['url']],
    [['oauth', 'token_url'], rawOf(issuer['oauth'])['token_url']],
    ...STREAM_ENDPOINTS.map((key): [readonly string[], unknown] => [
      ['stream', key],
      rawOf(issuer['stream'])[key],
    ]),
    [['issuer'], isDiscovered ? iss : undefined],
    ...stringsOf(rawOf(issuer['status_list'])['uris']).map((uri): [readonly string[], unknown] => [
      ['status_list', 'uris'],
      uri,
    ]),
  ];
  return found.flatMap(([key, url]) => (typeof url === 'string' ? [{ key, url }] : []));
}

export const STREAM_ENDPOINTS = [
  'configuration_endpoint',
  'status_endpoint',
  'verification_endpoint',
] as const;

/** Does the metadata of the transmitter say where its stream is managed? */
export function hasDiscoveredStream({ stream }: Raw): boolean {
  return stream !== undefined && STREAM_ENDPOINTS.some((key) => rawOf(stream)[key] === undefined);
}

/** The origins of those URLs: what is sent there is what the configuration wants sent. */
export function calledOrigins(issuer: object): string[] {
  const urls = calledUrls(issuer as Raw).filter(({ url }) => URL.canParse(url));
  return [...new Set(urls.map(({ url }) => new URL(url).origin))];
}

export function issuerHttpProblems(issuer: Raw, path: Path): Problem[] {
  if (issuer['http'] === undefined) return [];
  const { tls, proxy, bearer_token_file: token } = rawOf(issuer['http']);
  const urls = calledUrls(issuer).filter(({ url }) => URL.canParse(url));
  const at = (key: string, message: string): Problem => ({
    path: [...path, 'http', key],
    atKey: true,
    message,
  });
  if (urls.length === 0)
    return [
      {
        path: [...path, 'http'],
        atKey: true,
        message: 'has no meaning, since nothing of this issuer is fetched by HTTP; remove it',
      },
    ];
  const plain = urls.find(({ url }) => isPlainBeyondLoopback(url));
  const problems: Problem[] = [];
  if (tls !== undefined && urls.every(({ url }) => new URL(url).protocol !== 'https:'))
    problems.push(at('tls', 'has no meaning without a URL that is https://; use that, or remove it'));
  if (proxy !== undefined && plain)
    problems.push(
      at('proxy', `is for https:// only, and ${plain.key.join('.')} is http://; change one of them`),
    );
  if (token !== undefined && plain)
    problems.push(
      at(
        'bearer_token_file',
        `would travel in plaintext, since ${plain.key.join('.')} is http://; use https://`,
      ),
    );
  return [...problems, ...tokenTwice(issuer, path)];
}

function isPlainBeyondLoopback(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !isLoopback(hostname);
}

/** One call has one Authorization: of the gateway, or of what a validation service is to look at. */
function tokenTwice(issuer: Raw, path: Path): Problem[] {
  const { bearer_token_file: token } = rawOf(issuer['http']);
  const { send, headers } = rawOf(issuer['validation']);
  const { in: place, name = 'Authorization' } = rawOf(send);
  const names = [...Object.keys(rawOf(headers)), ...(place === 'header' ? [textOf(name)] : [])];
  if (token === undefined || !names.some((each) => each.toLowerCase() === 'authorization')) return [];
  return [
    {
      path: [...path, 'http', 'bearer_token_file'],
      atKey: true,
      message: 'goes into Authorization, which validation sets too; remove one of them',
    },
  ];
}
