/** What is wrong with proofs of possession and public URLs beyond their shape. Pure. */
import { readPublicUrl, type PublicUrl } from '../http/public-url.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, stringsOf, textOf, type Path, type Raw } from './raw-document.ts';

export function possessionProblems(raw: Raw): Problem[] {
  return [
    ...nonceProblems(rawOf(raw['dpop'])),
    ...unusedKeyProblems(raw),
    ...listOf(raw['routes'])
      .map(rawOf)
      .flatMap((route, index) => [
        ...unknownUrlProblems(raw, route, ['routes', index]),
        ...outsidePathProblems(raw, route, ['routes', index]),
      ]),
  ];
}

/** An empty mapping asks for nonces, too. How long the secret is, secrets.ts checks once it is read. */
function nonceProblems({ nonces }: Raw): Problem[] {
  const { secret, secret_file: file } = rawOf(nonces);
  return nonces === undefined || secret !== undefined || file !== undefined
    ? []
    : [
        {
          path: ['dpop', 'nonces'],
          message: 'has no secret; add secret_file (umask 077; openssl rand -base64 32 > FILE)',
        },
      ];
}

/** Keys that nothing reads where they stand. */
function unusedKeyProblems(raw: Raw): Problem[] {
  const problem = (path: Path, message: string): Problem => ({ path, atKey: true, message });
  return [
    ...listOf(raw['routes'])
      .map(rawOf)
      .flatMap((route, index) =>
        route['when_replay_unknown'] === undefined || rawOf(route['auth'])['sender_constrained'] !== undefined
          ? []
          : [
              problem(
                ['routes', index, 'when_replay_unknown'],
                'has no meaning on a route that takes no proofs; add auth.sender_constrained, or remove it',
              ),
            ],
      ),
    ...listOf(raw['listeners'])
      .map(rawOf)
      .flatMap(({ serve, public_url: url }, index) =>
        serve === 'redirect' && url !== undefined
          ? [
              problem(
                ['listeners', index, 'public_url'],
                'has no meaning with serve: redirect, which takes no token; remove it',
              ),
            ]
          : [],
      ),
  ];
}

/** The listeners that forward or decide. */
const serving = (raw: Raw): Raw[] => {
  const listeners = listOf(raw['listeners']).map(rawOf);
  return (listeners.length === 0 ? [{}] : listeners).filter(({ serve }) => serve !== 'redirect');
};

/** Host is the client's to write: a proof that names it says nothing, unless the route names its hosts. */
function unknownUrlProblems(raw: Raw, route: Raw, path: Path): Problem[] {
  const { sender_constrained: constrained } = rawOf(route['auth']);
  const hosts = stringsOf(rawOf(route['match'])['hosts']);
  const isKnown =
    route['public_url'] !== undefined ||
    (hosts.length > 0 && hosts.every((host) => !host.startsWith('*'))) ||
    serving(raw).every((listener) => listener['public_url'] !== undefined);
  return constrained === undefined || isKnown
    ? []
    : [
        {
          path: [...path, 'auth', 'sender_constrained'],
          atKey: true,
          message:
            'accepts proofs, but nothing says for which URL; add public_url to the route or to every listener, or exact match.hosts',
        },
      ];
}

/** The path of the public URL is part of the request's path. */
function outsidePathProblems(raw: Raw, route: Raw, path: Path): Problem[] {
  const url = publicUrlOf(route);
  if (!url || url.path === '') return [];
  const { path: exact, path_prefix: prefix = '/' } = rawOf(route['match']);
  const matched = textOf(exact ?? prefix);
  const seen = serving(raw).map((listener) => `${publicUrlOf(listener)?.path ?? ''}${matched}`);
  return seen.some((full) => full === url.path || full.startsWith(`${url.path}/`))
    ? []
    : [
        {
          path: [...path, 'public_url'],
          message: `has the path ${url.path}, but the route serves ${seen[0]}; the path of public_url must be that of the match or stand above it, so shorten one (what a proxy in front takes from the path stands in public_url of the listener)`,
        },
      ];
}

function publicUrlOf(holder: Raw): PublicUrl | undefined {
  const { public_url: text } = holder;
  return typeof text === 'string' ? readPublicUrl(text) : undefined;
}
