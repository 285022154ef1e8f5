/** The shape of `api_keys` of an issuer: where the gateway finds the keys of its clients, and how they come. Pure. */
import { z } from 'zod';
import { headerName, text } from './scalars.ts';

export const apiKeys = z
  .strictObject({
    file: text
      .optional()
      .describe(
        'File with the keys, in YAML or JSON: a list of entries with id, sha256 (of the whole key, in hexadecimal), subject, client, scopes, claims, expires, created and note. A changed file is read again within a second; one with a mistake changes nothing, and the log says so. Only the user of the gateway may write to it. Set it, or store.',
      ),
    store: z
      .literal(true)
      .optional()
      .describe(
        'Keeps the keys in the revocation store, where sallyport api-keys and the admin API change them for all gateways. Set it, or file.',
      ),
    header: headerName
      .optional()
      .describe(
        'A header that may hold the key, such as X-API-Key, beside "Authorization: Bearer". No upstream ever gets a header of this name, on no route, with "_" or "." for "-" neither.',
      ),
    cache_dir: text
      .optional()
      .describe(
        'Folder with a copy of the entries of the store (digests, no keys), which gives a store that has lost them its entries back, and with which a gateway knows them that starts while the store is unavailable, as far as when_stale lets requests pass then. Only the user of the gateway may write to it (chmod 700). Absent: there is no copy; keys live in the store, and in the gateways that run.',
      ),
    integrity_key: text
      .optional()
      .describe('The secret of integrity_key_file. Prefer that, which keeps it out of this file.'),
    integrity_key_file: text
      .optional()
      .describe(
        'File that contains the secret by which the gateways of a fleet know that an entry of the store is their own. Required with store; make it with openssl rand -base64 32, mode 0600, the same on all gateways. It may hold several, each in a line of its own: the first signs, all are accepted.',
      ),
  })
  .describe(
    'API keys of clients: long random texts that begin with sp_live_. The gateway knows only their digests. Routes must name the issuer in auth.issuers. Its name stands for iss.',
  );

export type ApiKeysConfiguration = z.output<typeof apiKeys>;
