/** The shape of `proof` in the configuration file: the key of what the gateway signs about its own deeds. Pure. */
import { z } from 'zod';
import { positiveDuration, text } from './scalars.ts';

/** As readers of a JWS accept it. */
const keyId = z
  .string()
  .regex(/^[!-~]{1,128}$/, 'must be 1 to 128 printable ASCII characters without spaces');

const previousKey = z.strictObject({
  public_key_file: text.describe(
    'File that contains the public key (PEM): openssl pkey -in OLD.pem -pubout -out OLD.pub.pem.',
  ),
  key_id: keyId.optional().describe('kid that the key had. Default: its thumbprint (RFC 7638).'),
});

export const proof = z
  .strictObject({
    key_file: text.describe(
      'File that contains the private key (PEM, Ed25519 or EC P-256), mode 0600. It must not be the key of identity.assertion. A new key counts from the reload on.',
    ),
    key_id: keyId.optional().describe('kid of what the key signs. Default: its thumbprint (RFC 7638).'),
    previous_keys: z
      .array(previousKey)
      .prefault([])
      .describe(
        'Keys that have signed before. They stay published, so that what they have signed can be verified; keep them as long as you keep that.',
      ),
    checkpoint_every: positiveDuration
      .prefault('1m')
      .describe(
        'How long after an audit line the log gets a signed checkpoint, which covers all lines before it. Lines after the last checkpoint can be changed without a trace. Lower it where a minute is too long.',
      ),
  })
  .describe(
    'Signs what the gateway does, so that others can check it later. Set it if an audit asks for more than the word of the log. Public keys: /.well-known/sallyport/proof-jwks.json on the admin listener.',
  );
