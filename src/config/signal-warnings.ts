/** What is allowed in a transmitter of signals, but risky. Pure. */
import type { Configuration, IssuerConfiguration } from './schema.ts';
import type { TransmitterConfiguration } from './signals-schema.ts';

/** One line for each risk: what it is, what to do. */
export function signalWarnings({ signals, issuers }: Configuration): string[] {
  return Object.entries(signals).flatMap(([name, transmitter]) => [
    ...plaintext(name, transmitter),
    ...audienceOfTokens(name, transmitter, issuers),
    ...sessionsWithoutSid(name, transmitter, issuers),
  ]);
}

const plaintext = (name: string, { allow_http }: TransmitterConfiguration): string[] =>
  allow_http
    ? [
        `signals.${name}: allow_http: anyone on the network path can forge keys, and so end all tokens; use https`,
      ]
    : [];

/** What a token is for must tell it apart, beside its type: the same server signs both. */
const audienceOfTokens = (
  name: string,
  { issuer, audiences }: TransmitterConfiguration,
  issuers: Configuration['issuers'],
): string[] =>
  Object.entries(issuers)
    .filter(([, each]) => each.issuer === issuer)
    .flatMap(([other, each]) =>
      audiences
        .filter((audience) => each.audiences?.includes(audience) === true)
        .map(
          (audience) =>
            `signals.${name}.audiences: ${audience} is an audience of the access tokens of issuers.${other} too; give the gateway one of its own for signals, so that they differ by more than their type`,
        ),
    );

const carriesSession = ({ required_claims: required, claim_names }: IssuerConfiguration): boolean =>
  ['sid', claim_names.session ?? []].flat().some((path) => required.includes(path));

const sessionsWithoutSid = (
  name: string,
  { ends, for: names }: TransmitterConfiguration,
  issuers: Configuration['issuers'],
): string[] =>
  ends === 'session'
    ? names.flatMap((other) => {
        const issuer = issuers[other];
        // Where no token names a session, the user that the event names is ended.
        const isNamed =
          issuer !== undefined && issuer.api_keys === undefined && issuer.claim_names.session !== null;
        return isNamed && !carriesSession(issuer)
          ? [
              `signals.${name}: ends: session ends no access token of issuers.${other} that carries no sid; add sid to its required_claims if all of them carry one, else set ends: both`,
            ]
          : [];
      })
    : [];
