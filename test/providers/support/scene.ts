/** An upstream behind a gateway that trusts a real authorization server, and the result that a token must have there. */
import type { Test } from 'tap';
import type { AuthReason } from '../../../src/errors.ts';
import { send } from '../../support/client.ts';
import { startGateway, until, type TestGateway } from '../../support/gateway.ts';
import { startUpstream, type HttpUpstream, type SeenRequest } from '../../support/upstream.ts';

export interface Scene {
  readonly gateway: TestGateway;
  readonly upstream: HttpUpstream;
  /** The token passes on this path. Returns the identity headers that the upstream got. */
  passes(t: Test, token: string, path: string, why?: string): Promise<Record<string, string | undefined>>;
  /** The token is refused there for this reason, and the upstream sees nothing. */
  refuses(
    t: Test,
    token: string,
    path: string,
    reason: AuthReason | readonly AuthReason[],
    why?: string,
  ): Promise<void>;
  /** Revokes through the admin API of the gateway. */
  revokes(t: Test, revocation: Record<string, unknown>): Promise<void>;
}

interface Outcome {
  readonly status: number;
  readonly reason: AuthReason;
  /** What the upstream got. */
  readonly got: readonly SeenRequest[];
}

/** The status of a refusal for each reason that the plays meet. */
const STATUS: Partial<Record<AuthReason, number>> = { insufficient_scope: 403, claim_rule: 403 };

export const IDENTITY = ['x-user-id', 'x-client-id', 'x-scopes', 'x-token-issuer', 'x-roles'] as const;

export async function startScene(t: Test, configuration: Record<string, unknown>): Promise<Scene> {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    ...configuration,
    upstreams: { orders: { targets: [upstream.url] } },
  });
  const outcome = async (token: string, path: string): Promise<Outcome> => {
    const [lines, seen] = [gateway.log.length, upstream.seen.length];
    const { status } = await send(gateway.url, path, { token });
    const line = () => gateway.log.slice(lines).find(({ msg }) => msg === 'request');
    await until(() => line() !== undefined);
    const { reason } = line()?.['auth'] as { reason: AuthReason };
    return { status, reason, got: upstream.seen.slice(seen) };
  };
  return {
    gateway,
    upstream,
    async passes(t, token, path, why = path) {
      const { status, reason, got } = await outcome(token, path);
      t.strictSame([status, reason, got.length], [200, 'ok', 1], `passes: ${why}`);
      return Object.fromEntries(IDENTITY.map((name) => [name, got[0]?.headers[name] as string | undefined]));
    },
    async refuses(t, token, path, reason, why = path) {
      const outcomeOf = await outcome(token, path);
      const reasons: readonly AuthReason[] = typeof reason === 'string' ? [reason] : reason;
      const status = STATUS[reasons[0] ?? 'missing'] ?? 401;
      t.strictSame([outcomeOf.status, outcomeOf.got.length], [status, 0], `refused: ${why}`);
      t.ok(reasons.includes(outcomeOf.reason), `${why}: ${outcomeOf.reason}, wanted ${reasons.join(' or ')}`);
    },
    async revokes(t, revocation) {
      const response = await gateway.admin('POST', '/v1/revocations', revocation);
      t.equal(response.status, 201, JSON.stringify(revocation));
      await response.arrayBuffer();
    },
  };
}
