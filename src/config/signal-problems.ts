/** What is wrong with transmitters of signals beyond their shape: names, keys, and what could never end a token. Pure. */
import { isLoopback } from '../http/loopback.ts';
import { SIGNATURE_ALGORITHMS } from '../token/algorithms.ts';
import { unsupportedText } from './algorithm-problems.ts';
import { claimPathProblems } from './identity-problems.ts';
import { issuerHttpProblems } from './issuer-http-problems.ts';
import { isKeyIssuer } from './issuer-schema.ts';
import { KEY_SET_SOURCES } from './key-sources.ts';
import type { Problem } from './problem.ts';
import { isRaw, listOf, rawOf, stringsOf, textOf, type Path, type Raw } from './raw-document.ts';
import { signalStreamProblems } from './signal-stream-problems.ts';
import { DELIVERIES, SUBJECT_KINDS } from './signals-schema.ts';

export function signalProblems(raw: Raw): Problem[] {
  return Object.entries(rawOf(raw['signals'])).flatMap(([name, value]) =>
    isRaw(value) ? transmitterProblems(raw, value, ['signals', name]) : [],
  );
}

function transmitterProblems(raw: Raw, transmitter: Raw, path: Path): Problem[] {
  return [
    ...deliveryProblems(transmitter, path),
    ...sourceProblems(transmitter, path),
    ...urlProblems(transmitter, path),
    ...algorithmProblems(transmitter, path),
    ...issuerHttpProblems(transmitter, path),
    ...forProblems(raw, transmitter, path),
    ...subjectProblems(raw, transmitter, path),
    ...signalStreamProblems(transmitter, path),
  ];
}

function deliveryProblems(transmitter: Raw, path: Path): Problem[] {
  return DELIVERIES.some((key) => transmitter[key] !== undefined)
    ? []
    : [{ path, message: `receives nothing; add ${DELIVERIES.join(' or ')}` }];
}

function sourceProblems(transmitter: Raw, path: Path): Problem[] {
  const given = KEY_SET_SOURCES.filter((source) => transmitter[source] !== undefined);
  const [first, second] = given;
  if (first === undefined)
    return [{ path, message: `has no source of keys; add one of ${KEY_SET_SOURCES.join(', ')}` }];
  const isRemote = first === 'discovery' || first === 'jwks_url';
  return [
    ...(second === undefined
      ? []
      : [{ path: [...path, second], atKey: true, message: `and ${first} exclude each other; keep one` }]),
    ...(!isRemote && rawOf(transmitter['keys'])['cache_dir'] !== undefined
      ? [
          {
            path: [...path, 'keys', 'cache_dir'],
            atKey: true,
            message: 'has no meaning, since the keys are in the configuration; remove it',
          },
        ]
      : []),
  ];
}

/** Keys decide whose events end tokens: they travel encrypted, or do not leave the machine (rule K4). */
function urlProblems(transmitter: Raw, path: Path): Problem[] {
  const key = transmitter['jwks_url'] === undefined ? 'issuer' : 'jwks_url';
  const url = transmitter[key];
  if ((key === 'issuer' && transmitter['discovery'] !== true) || typeof url !== 'string') return [];
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    return key === 'issuer'
      ? [
          {
            path: [...path, key],
            message: 'must be an https:// URL, since discovery starts from it; correct it, or use jwks_url',
          },
        ]
      : [];
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || isLoopback(hostname) || transmitter['allow_http'] === true
    ? []
    : [
        {
          path: [...path, key],
          message: 'must be https:// or loopback; change it, or set allow_http: true and know the risk',
        },
      ];
}

function algorithmProblems(transmitter: Raw, path: Path): Problem[] {
  const names = stringsOf(transmitter['algorithms']);
  const message = unsupportedText(SIGNATURE_ALGORITHMS.filter((algorithm) => names.includes(algorithm)));
  return message === undefined ? [] : [{ path: [...path, 'algorithms'], message }];
}

function forProblems(raw: Raw, transmitter: Raw, path: Path): Problem[] {
  const issuers = rawOf(raw['issuers']);
  const names = stringsOf(transmitter['for']);
  const unknown = (where: Path, name: string): Problem[] =>
    Object.hasOwn(issuers, name)
      ? []
      : [
          {
            path: where,
            message: `names the issuer "${name}", which is not configured; add it to issuers, or correct it`,
          },
        ];
  const aliases = Object.entries(rawOf(rawOf(transmitter['subjects'])['issuers']));
  return [
    ...names.flatMap((name, index) => unknown([...path, 'for', index], name)),
    ...aliases.flatMap(([iss, name]) => {
      const where = [...path, 'subjects', 'issuers', iss];
      if (typeof name !== 'string') return [];
      return names.includes(name)
        ? []
        : [
            {
              path: where,
              message: `names "${name}", whose tokens its events may not end; add it to for, or correct it`,
            },
          ];
    }),
  ];
}

/** A name that no token of the issuers in `for` can have would count every event as unmapped. */
function subjectProblems(raw: Raw, transmitter: Raw, path: Path): Problem[] {
  const claims = stringsOf(rawOf(raw['revocation'])['claims']);
  const issuers = stringsOf(transmitter['for']).map((name) => rawOf(rawOf(raw['issuers'])[name]));
  return Object.entries(rawOf(transmitter['subjects'])).flatMap(([key, value]) => {
    if (key === 'issuers') return [];
    const names =
      typeof value === 'string'
        ? [[value, [key]] as const]
        : listOf(value).map((name, index) => [textOf(name), [key, index]] as const);
    return names.flatMap(([name, at]): Problem[] => {
      const where: Path = [...path, 'subjects', ...at];
      if (name === '') return [];
      if ((SUBJECT_KINDS as readonly string[]).includes(name)) return kindProblems(issuers, name, where);
      const odd = claimPathProblems(name, where);
      if (odd.length > 0 || claims.includes(name)) return odd;
      return [
        {
          path: where,
          message: `names the claim ${name}, by which no token can be revoked; add it to revocation.claims, or use one of ${SUBJECT_KINDS.join(', ')}`,
        },
      ];
    });
  });
}

function kindProblems(issuers: readonly Raw[], kind: string, path: Path): Problem[] {
  const names = (issuer: Raw): boolean =>
    isKeyIssuer(issuer) ? kind !== 'session' : rawOf(issuer['claim_names'])[kind] !== null;
  return issuers.length === 0 || issuers.some(names)
    ? []
    : [
        {
          path,
          message: `is ${kind}, which no token of the issuers in for names (claim_names.${kind} is null); name another`,
        },
      ];
}
