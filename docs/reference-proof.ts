/** The section of the configuration reference about what the gateway signs about its own deeds. */
import type { Section } from './reference-sections.ts';

export const PROOF: Section = {
  title: 'proof',
  keys: ['proof'],
  example: `
proof:
  key_file: proof.pem
  previous_keys:
    - { public_key_file: proof-2025.pub.pem }
`,
};
