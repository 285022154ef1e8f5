/** What is wrong with an issuer of many tenants (`issuer` with `{tenant}` in it) beyond its shape. Pure. Rule J3. */
import { isIssuerTemplate, IssuerTemplate } from '../token/issuer-template.ts';
import { isOpaqueIssuer } from './issuer-schema.ts';
import type { Problem } from './problem.ts';
import { isRaw, listOf, rawOf, stringsOf, type Path, type Raw } from './raw-document.ts';

export function tenantProblems(issuer: Raw, path: Path): Problem[] {
  const { issuer: text, tenants } = issuer;
  if (typeof text !== 'string' || !/[{}]/.test(text)) {
    return tenants === undefined
      ? []
      : [
          {
            path: [...path, 'tenants'],
            atKey: true,
            message:
              'has no meaning, since issuer has no {tenant}; write {tenant} there where iss has the tenant, or remove it',
          },
        ];
  }
  if (isOpaqueIssuer(issuer))
    return [{ path: [...path, 'issuer'], message: 'has {tenant}, which is for JWTs; write the exact iss' }];
  if (!isIssuerTemplate(text))
    return [
      {
        path: [...path, 'issuer'],
        message:
          'must have {tenant} once, as a whole segment of the path of a URL, such as https://login.example/{tenant}/v2.0; correct it',
      },
    ];
  return [
    ...(tenants === undefined
      ? [
          {
            path: [...path, 'issuer'],
            message:
              'has {tenant}, but no tenants are named; add tenants: [...], or tenants: any with a rule',
          },
        ]
      : []),
    ...((rawOf(issuer['claim_names'])['tenant'] ?? null) === null
      ? [
          {
            path: [...path, 'issuer'],
            message: 'has {tenant}, but no claim to compare it with; add claim_names: { tenant: CLAIM }',
          },
        ]
      : []),
    ...(tenants === 'any' ? anyTenantProblems(issuer, path) : []),
  ];
}

/**
 * Claims with a name that can pass to another person; where many tenants are accepted, each gives its users the names that
 * it likes, and says that it has verified them.
 */
export const NAMES_OF_USERS: ReadonlySet<unknown> = new Set([
  'email',
  'email_verified',
  'mail',
  'name',
  'preferred_username',
  'unique_name',
  'upn',
  'username',
  'verified_primary_email',
]);

function anyTenantProblems(issuer: Raw, path: Path): Problem[] {
  const names = rawOf(issuer['claim_names']);
  return [
    ...(stringsOf([names['subject']]).some((name) => NAMES_OF_USERS.has(name))
      ? [
          {
            path: [...path, 'claim_names', 'subject'],
            message:
              'every tenant gives such a name to whom it likes, and tenants: any accepts all of them; use sub or oid',
          },
        ]
      : []),
    ...(hasRule(issuer, names)
      ? []
      : [
          {
            path: [...path, 'tenants'],
            message:
              'any accepts the tokens of every customer of the provider; add a rule on a role, a scope or the client to claims of this issuer (required_claims does not count), or list the tenants',
          },
        ]),
  ];
}

/** A rule on a role, a scope or the client. That a claim is absent says nothing of who has the token. */
function hasRule(issuer: Raw, names: Raw): boolean {
  const decisive = new Set([
    'roles',
    'role',
    ...pathsOf(names['client'], ['client_id', 'azp', 'cid', 'appid']),
    ...pathsOf(names['scopes'], ['scope', 'scp']),
  ]);
  return Object.entries(rawOf(issuer['claims'])).some(
    ([claim, rule]) => decisive.has(claim) && rule !== null && !(isRaw(rule) && rule['absent'] !== undefined),
  );
}

function pathsOf(names: unknown, defaults: readonly string[]): readonly string[] {
  if (names === undefined) return defaults;
  return typeof names === 'string' ? [names] : stringsOf(listOf(names));
}

/** One token must have one issuer: two of them that take the same `iss`, of which one has many tenants. */
export function sharedTenants(issuers: Raw): Problem[] {
  const known = Object.entries(issuers).flatMap(([name, value]) => {
    const { issuer, tenants } = rawOf(value);
    return typeof issuer !== 'string' || isOpaqueIssuer(rawOf(value))
      ? []
      : [{ name, issuer, tenants: tenants === 'any' ? undefined : stringsOf(tenants) }];
  });
  return known.flatMap((one, index) => {
    const other = known
      .slice(0, index)
      .find((earlier) => earlier.issuer !== one.issuer && (covers(earlier, one) || covers(one, earlier)));
    return other === undefined
      ? []
      : [
          {
            path: ['issuers', one.name, 'issuer'],
            message: `takes an iss that issuers.${other.name} takes too; list the tenants of each, or merge the two`,
          },
        ];
  });
}

interface Named {
  readonly issuer: string;
  readonly tenants: readonly string[] | undefined;
}

function covers(many: Named, other: Named): boolean {
  if (!isIssuerTemplate(many.issuer)) return false;
  const template = new IssuerTemplate(many.issuer, many.tenants);
  if (!isIssuerTemplate(other.issuer)) return template.tenantOf(other.issuer) !== undefined;
  // A tenant that is a word of the other template's path: of lists each is looked at, of any tenant one that fits.
  const theirs = new IssuerTemplate(other.issuer, other.tenants);
  const words = other.issuer.split('/').filter((word) => word !== '{tenant}');
  const tenants = many.tenants ?? words;
  return tenants.some((tenant) => template.takes(tenant) && theirs.tenantOf(template.issuerOf(tenant)));
}
