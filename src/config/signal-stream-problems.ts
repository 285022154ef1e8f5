/** What is wrong with how the gateway polls a transmitter of signals and manages its stream, beyond the shape. Pure. */
import { isLoopback } from '../http/loopback.ts';
import { calledUrls, hasDiscoveredStream } from './issuer-http-problems.ts';
import type { Problem } from './problem.ts';
import { rawOf, type Path, type Raw } from './raw-document.ts';

/** @param transmitter `signals.NAME`, of any shape */
export function signalStreamProblems(transmitter: Raw, path: Path): Problem[] {
  return [
    ...pollProblems(transmitter, path),
    ...streamProblems(transmitter, path),
    ...tokenProblems(transmitter, path),
    ...plaintextProblems(transmitter, path),
  ];
}

const atKey = (path: Path, message: string): Problem => ({ path, atKey: true, message });

function pollProblems({ poll, stream }: Raw, path: Path): Problem[] {
  if (poll === undefined || rawOf(poll)['url'] !== undefined || stream !== undefined) return [];
  return [atKey([...path, 'poll'], 'has no url, and no stream says it; add url, or stream beside poll')];
}

function streamProblems(transmitter: Raw, path: Path): Problem[] {
  const { stream, push, poll, issuer } = transmitter;
  if (stream === undefined) return [];
  const at = [...path, 'stream'];
  const { delivery, endpoint_url: endpoint } = rawOf(stream);
  const problems: Problem[] = [];
  if (push !== undefined && poll !== undefined && delivery === undefined)
    problems.push(atKey(at, 'may deliver by push or by poll, which are both configured; add delivery'));
  if ((delivery === 'push' && push === undefined) || (delivery === 'poll' && poll === undefined))
    problems.push({
      path: [...at, 'delivery'],
      message: `is ${delivery}, but the transmitter has no ${delivery}; add ${delivery} beside stream`,
    });
  if (endpoint !== undefined && (delivery === 'poll' || push === undefined))
    problems.push(atKey([...at, 'endpoint_url'], 'has no meaning for a stream that is polled; remove it'));
  if (hasDiscoveredStream(transmitter) && typeof issuer === 'string' && !URL.canParse(issuer))
    problems.push(
      atKey(
        at,
        'needs an issuer that is a URL, to find the endpoints; add configuration_endpoint, status_endpoint and verification_endpoint',
      ),
    );
  return problems;
}

/** What each way to authenticate needs: the key that sets it, or the file of it. */
const NEEDS: Readonly<Record<string, 'client_secret' | 'key'>> = {
  client_secret_basic: 'client_secret',
  client_secret_post: 'client_secret',
  private_key_jwt: 'key',
};

function tokenProblems({ oauth, http, poll, stream, issuer }: Raw, path: Path): Problem[] {
  if (oauth === undefined) return [];
  const at = [...path, 'oauth'];
  if (poll === undefined && stream === undefined)
    return [atKey(at, 'has no meaning without poll or stream; remove it')];
  const given = rawOf(oauth);
  const { auth_method: method = 'client_secret_basic', token_url: url } = given;
  if (typeof method !== 'string') return [];
  const needed = NEEDS[method];
  const problems: Problem[] = [];
  if (rawOf(http)['bearer_token_file'] !== undefined)
    problems.push(atKey(at, 'and http.bearer_token_file exclude each other; keep one'));
  if (needed !== undefined && given[needed] === undefined && given[`${needed}_file`] === undefined)
    problems.push({
      path: at,
      message: `has no ${needed}, which auth_method: ${method} needs; add ${needed}_file`,
    });
  for (const other of ['client_secret', 'client_secret_file', 'key', 'key_file'])
    if (given[other] !== undefined && other !== needed && other !== `${needed}_file`)
      problems.push(
        atKey(
          [...at, other],
          `has no meaning with auth_method: ${method}; remove it, or choose another auth_method`,
        ),
      );
  const { cert, cert_file: certFile } = rawOf(rawOf(http)['tls']);
  if (method === 'tls_client_auth' && cert === undefined && certFile === undefined)
    problems.push({
      path: at,
      message: 'auth_method: tls_client_auth needs a client certificate; add http.tls.cert_file and key_file',
    });
  if (method === 'tls_client_auth' && typeof url === 'string' && !url.startsWith('https:'))
    problems.push({
      path: [...at, 'token_url'],
      message: 'must be https:// for auth_method: tls_client_auth; change it',
    });
  if (
    method === 'private_key_jwt' &&
    given['issuer'] === undefined &&
    typeof issuer === 'string' &&
    !URL.canParse(issuer)
  )
    problems.push({
      path: at,
      message: 'auth_method: private_key_jwt needs the authorization server that its JWT is for; add issuer',
    });
  return problems;
}

/** Signals and tokens must not be read, or made up, on the way. */
function plaintextProblems(transmitter: Raw, path: Path): Problem[] {
  // With discovery the issuer has its own message.
  const isOwnIssuer = transmitter['discovery'] !== true && hasDiscoveredStream(transmitter);
  const OWN = ['poll', 'oauth', 'stream', ...(isOwnIssuer ? ['issuer'] : [])];
  return calledUrls(transmitter).flatMap(({ key, url }) => {
    if (!OWN.includes(key[0] ?? '') || transmitter['allow_http'] === true || !URL.canParse(url)) return [];
    const { protocol, hostname } = new URL(url);
    if (protocol === 'https:' || isLoopback(hostname)) return [];
    return [
      {
        path: [...path, ...key],
        message: 'must be https:// or loopback; change it, or set allow_http: true and know the risk',
      },
    ];
  });
}
