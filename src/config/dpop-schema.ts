/** The shape of `dpop` in the configuration file: how proofs of possession are checked (RFC 9449). Pure. */
import { z } from 'zod';
import { DEFAULT_PROOF_ALGORITHMS, PROOF_ALGORITHMS } from '../token/algorithms.ts';
import { duration, positiveCount, positiveDuration, text, whenStale } from './scalars.ts';

const nonces = z.strictObject({
  secret: text
    .optional()
    .describe(
      'Secret of which nonces are made, of 32 characters or more. Prefer secret_file, which keeps it out of this file.',
    ),
  secret_file: text
    .optional()
    .describe('File that contains the secret, mode 0600. All gateways of a fleet need the same.'),
  rotate: positiveDuration
    .prefault('5m')
    .describe('How long a nonce is given out. It is accepted for as long again.'),
});

export const dpop = z
  .strictObject({
    algorithms: z
      .array(z.enum(PROOF_ALGORITHMS, `must be one of ${PROOF_ALGORITHMS.join(', ')}`))
      .min(1)
      .prefault([...DEFAULT_PROOF_ALGORITHMS])
      .describe(
        'Signature algorithms of proofs. Challenges name them. ES384 and ES512 cost the gateway many times as much as ES256.',
      ),
    max_age: positiveDuration
      .prefault('60s')
      .describe(
        'How old a proof may be, by its iat. Each proof is remembered for so long: a longer time costs memory of the store.',
      ),
    future_iat: duration
      .prefault('5s')
      .describe(
        'How far ahead of the clock of the gateway iat of a proof may be. Raise it for clients with wrong clocks.',
      ),
    nonces: nonces
      .optional()
      .describe(
        'Asks clients for a nonce of the gateway in each proof (RFC 9449 section 9). A proof made in advance, or with a wrong clock, then passes no longer. The first request of a client costs one more round trip. Absent: no nonces.',
      ),
    when_replay_unknown: whenStale
      .prefault('deny')
      .describe(
        'What happens to a proof while the revocation store cannot say whether it was used before. deny: 503. allow: it passes, so that a stolen proof may pass again until it is too old. A route may override it.',
      ),
    remembered: z
      .strictObject({
        entries: positiveCount
          .prefault(1_000_000)
          .describe(
            'Largest number of used proofs that the stores memory: and sqlite: keep, of some 180 bytes each. When it is reached, proofs are refused with 503; none is forgotten early.',
          ),
        per_key: positiveCount
          .prefault(10_000)
          .describe(
            'Largest number of proofs of one key within max_age, for each gateway process. Beyond it the client gets 429. Raise it for a client that sends more requests than this in that time.',
          ),
      })
      .prefault({})
      .describe('How many used proofs are remembered.'),
  })
  .describe(
    'Proofs of possession (DPoP) on routes with auth.sender_constrained. A used proof is remembered in the revocation store, so that it passes once across the fleet.',
  );
