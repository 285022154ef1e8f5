/**
 * Puts what `provider:` stands for under the keys of each issuer, before the schema looks at them. What the user wrote
 * counts: a scalar or a list replaces the preset's, the maps `claims` and `claim_names` are merged by name, and null takes
 * an entry of `claims` out. `required_claims` are added to the preset's, since a user who asks for one more claim does not
 * mean to give up the others; an empty list gives them up. Pure.
 */
import type { Problem } from './problem.ts';
import { isProvider, presetOf, type Preset } from './provider-presets.ts';
import { isRaw, rawOf, type Path, type Raw } from './raw-document.ts';

/** The document of any shape with every preset expanded. `document` stays as it is. */
export function expandProviders(document: unknown): unknown {
  if (!isRaw(document) || !isRaw(document['issuers'])) return document;
  return {
    ...document,
    issuers: mapped(document['issuers'], (issuer) =>
      isRaw(issuer) && isProvider(issuer['provider'])
        ? expandIssuer(issuer, presetOf(issuer['provider'], issuer))
        : issuer,
    ),
  };
}

/** An issuer with a preset under it. */
export function expandIssuer(issuer: Raw, preset: Preset): Raw {
  const { claims: rules, claim_names: names, required_claims: required, ...plain } = preset;
  return {
    ...issuer,
    ...mapped(plain, (value, key) => (issuer[key] === undefined ? value : issuer[key])),
    ...(required === undefined
      ? {}
      : { required_claims: requiredClaims(required, issuer['required_claims']) }),
    ...(rules === undefined ? {} : { claims: withoutNulls(merged(rules, issuer['claims']), rules) }),
    claim_names: merged(names, issuer['claim_names']),
  };
}

function requiredClaims(preset: readonly string[], own: unknown): unknown {
  if (own === undefined) return preset;
  if (!Array.isArray(own) || own.length === 0) return own;
  // The user's stand first: problems name them by their place.
  return [...(own as unknown[]), ...preset.filter((claim) => !own.includes(claim))];
}

function merged(preset: Raw, own: unknown): unknown {
  return own === undefined ? preset : isRaw(own) ? { ...preset, ...own } : own;
}

function withoutNulls(rules: unknown, preset: Raw): unknown {
  if (!isRaw(rules)) return rules;
  const kept = Object.entries(rules).filter(
    ([claim, rule]) => rule !== null || !Object.hasOwn(preset, claim),
  );
  return Object.fromEntries(kept);
}

function mapped(raw: object, change: (value: unknown, key: string) => unknown): Raw {
  return Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, change(value, key)]));
}

/**
 * A problem with a value that the user did not write stands at `provider`, and says what that sets.
 *
 * @param document as the user wrote it
 * @param expanded the same with its presets
 */
export function atProvider(problem: Problem, document: unknown, expanded: unknown): Problem {
  const { path, message } = problem;
  const [section, name] = path;
  if (section !== 'issuers' || name === undefined) return problem;
  const own = rawOf(rawOf(rawOf(document)['issuers'])[name]);
  if (!isProvider(own['provider'])) return problem;
  for (let length = 3; length <= path.length; length++) {
    const part = path.slice(0, length);
    const value = valueAt(expanded, part);
    if (valueAt(document, part) !== undefined || value === undefined) continue;
    const key = part.slice(2).join('.');
    return {
      path: ['issuers', name, 'provider'],
      message: `${own['provider']} sets ${key}${isRaw(value) ? '' : `: ${JSON.stringify(value)}`}. ${key} ${message}`,
    };
  }
  return problem;
}

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      Array.isArray(value)
        ? (value as unknown[])[Number(part)]
        : isRaw(value) && Object.hasOwn(value, part)
          ? value[part]
          : undefined,
    document,
  );
}
