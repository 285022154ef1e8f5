/** What is wrong with the place where the public keys of assertions are published. It stands before all routes. Pure. */
import { hasOneReading } from '../http/path-policy.ts';
import { plainestOf } from '../http/path-readings.ts';
import { normalHost } from './host-scalars.ts';
import { endpointPlaces, isHidden } from './endpoint-places.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, textOf, type Raw } from './raw-document.ts';
import { literalProblems } from './template-problems.ts';

const WHERE = ['identity', 'assertion', 'publish'];
/** As the schema has it. */
const DEFAULT_PATH = '/.well-known/sallyport/jwks.json';

export function publishProblems(raw: Raw): Problem[] {
  const { publish } = rawOf(rawOf(raw['identity'])['assertion']);
  if (publish === undefined) return [];
  const { host: hostText, path = DEFAULT_PATH } = rawOf(publish);
  const problems = noListenerProblems(raw);
  if (typeof path !== 'string' || !path.startsWith('/')) return problems;
  const odd = [...literalProblems(path, [...WHERE, 'path']), ...oddPathProblems(path)];
  if (odd.length > 0 || typeof hostText !== 'string') return [...problems, ...odd];
  return [...problems, ...hiddenProblems(raw, normalHost(hostText), path)];
}

/** A path in an odd spelling would be served, and the plain one that services ask for would not. */
function oddPathProblems(path: string): Problem[] {
  return hasOneReading(path)
    ? []
    : [
        {
          path: [...WHERE, 'path'],
          message: 'can be read in several ways; write it without %, ;, // and dot segments',
        },
      ];
}

function hiddenProblems(raw: Raw, host: string, path: string): Problem[] {
  const hidden = listOf(raw['routes'])
    .map(rawOf)
    .find((route) => isHidden(plainMatch(rawOf(route['match'])), host, path));
  const endpoint = endpointPlaces(raw).find((place) => place.host === host && place.path === path);
  return [
    ...(hidden
      ? [{ path: WHERE, message: `hides the route "${textOf(hidden['name'])}"; choose another path` }]
      : []),
    ...(endpoint
      ? [
          {
            path: WHERE,
            message: `is the same place as ${endpoint.key.join('.')}; choose another path`,
          },
        ]
      : []),
  ];
}

/** Other spellings of the path are refused, so a route that has one of them is hidden, too. */
function plainMatch(match: Raw): Raw {
  const plain = (key: string): Raw => {
    const text = match[key];
    return typeof text === 'string' ? { [key]: plainestOf(text) } : {};
  };
  return { ...match, ...plain('path'), ...plain('path_prefix') };
}

/** Only a listener that forwards serves them; a decision listener has its own place for them. */
function noListenerProblems(raw: Raw): Problem[] {
  const listeners = listOf(raw['listeners']).map(rawOf);
  const forwards = ({ serve }: Raw): boolean => serve !== 'decisions' && serve !== 'redirect';
  return listeners.length === 0 || listeners.some(forwards)
    ? []
    : [
        {
          path: WHERE,
          atKey: true,
          message:
            'is served by listeners that forward, and there is none; remove it, and see docs/forward-auth.md for the keys on a decision listener',
        },
      ];
}
