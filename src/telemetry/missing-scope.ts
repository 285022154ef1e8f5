import type { AuthenticToken } from '../token/token-verifier.ts';

/**
 * The scopes that the route needs and the token lacks; names of the configuration.
 *
 * @param needed separated by spaces, as in the challenge of the refusal
 */
export function missingScope(needed: string | undefined, { scopes }: AuthenticToken): string {
  return (needed ?? '')
    .split(' ')
    .filter((scope) => !scopes.has(scope))
    .join(' ');
}
