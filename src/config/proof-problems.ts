/** What is wrong or risky with `proof`, as far as the configuration itself shows it. Pure. */
import type { Problem } from './problem.ts';
import { listOf, rawOf, type Raw } from './raw-document.ts';
import type { Configuration } from './schema.ts';

/** So long an attacker has for what the log says of the attack. */
const LONG_MS = 60 * 60_000;

export function proofProblems(raw: Raw): Problem[] {
  const proof = rawOf(raw['proof']);
  const { key_file: file } = proof;
  if (typeof file !== 'string') return [];
  const asserting = rawOf(rawOf(raw['identity'])['assertion'])['key_file'];
  const repeated = listOf(proof['previous_keys']).findIndex(
    (previous) => rawOf(previous)['public_key_file'] === file,
  );
  return [
    ...(file === asserting
      ? [
          {
            path: ['proof', 'key_file'],
            message:
              'is the key of identity.assertion too; make a key of its own (openssl genpkey -algorithm ed25519 -out FILE)',
          },
        ]
      : []),
    ...(repeated < 0
      ? []
      : [
          {
            path: ['proof', 'previous_keys', repeated, 'public_key_file'],
            message: 'is key_file too; name the public key that signed before, or remove it',
          },
        ]),
  ];
}

export function proofWarnings({ proof }: Configuration): string[] {
  return proof && proof.checkpoint_every > LONG_MS
    ? [
        'proof.checkpoint_every: audit lines of more than an hour can be changed without a trace; lower it, to 1m for example',
      ]
    : [];
}
