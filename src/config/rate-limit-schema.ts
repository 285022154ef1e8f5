/** The shape of `rate_limits`, on a route and for all, and of `limits.failed_authentications`. Pure. */
import { z } from 'zod';
import { name, positiveCount, text } from './scalars.ts';

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const MAX_A_SECOND = 100_000;
const MAX_FILL_MS = 31 * UNITS_MS.d;

/** A number of requests in a time: `100/1m`, `10/s`. */
const rate = z
  .string('must be a number of requests in a time, such as 100/1m or 10/s')
  .regex(
    /^[1-9]\d{0,8}\/(?:[1-9]\d{0,4})?[smhd]$/,
    'must be a number of requests in a time, both 1 or more, such as 100/1m or 10/s',
  )
  .transform((given) => {
    const [, count, amount = '1', unit] = /^(\d+)\/(\d+)?(.)$/.exec(given) as unknown as [
      string,
      string,
      string | undefined,
      keyof typeof UNITS_MS,
    ];
    return { count: Number(count), windowMs: Number(amount) * UNITS_MS[unit] };
  })
  .refine(({ count, windowMs }) => count / (windowMs / 1000) <= MAX_A_SECOND, {
    error: `must be at most ${MAX_A_SECOND} requests a second; lower it`,
    abort: true,
  });

const burst = positiveCount.max(1_000_000_000, { error: 'must be 1000000000 or less', abort: true });

/** How long an empty bucket needs to be full again is how long it must be remembered. */
const fillsInTime = {
  when: ({ rate, burst }: RateSetting): boolean =>
    // A rate that is none has an error of its own.
    !(((burst ?? rate.count) * rate.windowMs) / rate.count > MAX_FILL_MS),
  error: 'must be what the rate gives in 31 days, or less; lower it, or the time of the rate',
};

interface RateSetting {
  readonly rate: { readonly count: number; readonly windowMs: number };
  readonly burst?: number | undefined;
}

const by = z.union(
  [
    z.enum(['subject', 'client', 'tenant', 'issuer', 'ip']),
    z.strictObject({ claim: text.describe('Path of the claim, as in auth.claims.') }),
  ],
  'must be subject, client, tenant, issuer, ip, or { claim: PATH }',
);

const rateLimit = z
  .strictObject({
    name: name.describe(
      'Name of the limit in responses, metrics and logs. The same name on several routes is one limit: their requests count together.',
    ),
    by: by.describe(
      'By what callers are told apart. subject, client, tenant, issuer, { claim: PATH }: by the verified token; a caller without one counts by its address, and tokens that do not say share one bucket of their issuer. ip: by the address, an IPv6 one by its /64, before any token is looked at.',
    ),
    rate: rate.describe(
      'How many requests a caller may send in a time, on average: 100/1m, 10/s, 5000/h. It comes back bit by bit: at 100/1m one request each 600 ms.',
    ),
    burst: burst
      .optional()
      .describe(
        'How many requests a caller who was silent may send at once. Default: the number of the rate. Lower it to spread requests out.',
      ),
    scope: z
      .enum(['fleet', 'gateway'], 'must be fleet or gateway')
      .prefault('fleet')
      .describe(
        'fleet: all gateways that share a store count together. gateway: each gateway counts for itself, so that several let more pass.',
      ),
    report_only: z
      .boolean()
      .prefault(false)
      .describe('Counts and tells, in metrics and log, and refuses nothing. Use it to find the right rate.'),
  })
  .refine(fillsInTime.when, { path: ['burst'], error: fillsInTime.error });

export const rateLimits = z.array(rateLimit);

export const failedAuthentications = z
  .strictObject({
    rate: rate.describe(
      'How many refused credentials an address may send in a time, on average, such as 30/1m.',
    ),
    burst: burst.optional().describe('How many it may send at once. Default: the number of the rate.'),
    report_only: z
      .boolean()
      .prefault(false)
      .describe('Counts and tells, in metrics and log, and refuses nothing.'),
  })
  .refine(fillsInTime.when, { path: ['burst'], error: fillsInTime.error });

export type RateLimitConfiguration = z.output<typeof rateLimit>;
export type FailureLimitConfiguration = z.output<typeof failedAuthentications>;
