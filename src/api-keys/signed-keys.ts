/**
 * What makes a text of the store genuine: an HMAC-SHA-256 with a key that only the gateways of the fleet have. It covers the text
 * as it is, byte by byte, and that says everything of a key: whose it is, of which issuer, what it may, its version, and whether it is
 * revoked. So write access to the store makes no key, widens none, moves none to another issuer or id, and brings none back.
 *
 *     HMAC in base64url "." JSON
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { formatVersion, parseVersion } from '../revocation/mark.ts';
import type { JsonObject } from '../token/claims.ts';
import { keyName, type NamedText } from './api-key-store.ts';
import type { StoredKey } from './stored-key.ts';

/** What the HMAC is for: the same key in another place makes no text of a key. */
const PURPOSE = 'sallyport api key 1\n';
const MAC_CHARACTERS = 43;

/** Fewer characters can be guessed; docs/how-to/api-keys.md says how to make one. */
export const MIN_INTEGRITY_CHARACTERS = 32;

/** A key as JSON has it: what is undefined is left out. */
interface Payload {
  readonly issuer: string;
  readonly id: string;
  readonly sha256: string;
  readonly subject?: string | undefined;
  readonly client?: string | undefined;
  readonly scopes: readonly string[];
  readonly claims: JsonObject;
  readonly created?: number | undefined;
  readonly expires?: number | undefined;
  readonly note?: string | undefined;
  readonly created_by: string;
  readonly end?:
    { readonly at: number; readonly by: string; readonly reason?: string | undefined } | undefined;
  readonly replaced_by?: string | undefined;
  readonly kept_until?: number | undefined;
  readonly version: string;
}

/** The keys of one issuer by which its texts are genuine. */
export class KeySeal {
  /** The first makes texts; all know them, so that one key can take the place of another without a gap. */
  readonly #secrets: readonly string[];

  constructor(secrets: readonly string[]) {
    this.#secrets = secrets;
  }

  seal(key: StoredKey): NamedText {
    const text = payloadOf(key);
    return {
      name: keyName(key.issuer, key.entry.id),
      text: `${macOf(this.#secrets[0] ?? '', text)}.${text}`,
    };
  }

  /** Undefined for what no gateway of this fleet has written under this name. */
  open({ name, text }: NamedText): StoredKey | undefined {
    const content = contentOf(text);
    if (text[MAC_CHARACTERS] !== '.' || !this.#isGenuine(text.slice(0, MAC_CHARACTERS), content))
      return undefined;
    // A gateway has written it: it has this shape.
    const key = storedKeyOf(JSON.parse(content) as Payload);
    return keyName(key.issuer, key.entry.id) === name ? key : undefined;
  }

  /** The same content, signed with the first key. */
  reseal(text: string): string {
    const content = contentOf(text);
    return `${macOf(this.#secrets[0] ?? '', content)}.${content}`;
  }

  #isGenuine(mac: string, content: string): boolean {
    const given = Buffer.from(mac, 'latin1');
    // A character beyond ASCII makes no difference in length here: each is one byte.
    return this.#secrets.some((secret) =>
      timingSafeEqual(given, Buffer.from(macOf(secret, content), 'latin1')),
    );
  }
}

/** What a text says, whichever key it is signed with. */
export function contentOf(text: string): string {
  return text.slice(MAC_CHARACTERS + 1);
}

/** The lines of an integrity key file. */
export function integritySecrets(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function macOf(secret: string, content: string): string {
  return createHmac('sha256', secret).update(PURPOSE).update(content).digest('base64url');
}

function payloadOf({ issuer, entry, createdBy, end, replacedBy, keptUntil, version }: StoredKey): string {
  const written: Payload = {
    issuer,
    ...entry,
    created_by: createdBy,
    end,
    replaced_by: replacedBy,
    kept_until: keptUntil,
    version: formatVersion(version),
  };
  return JSON.stringify(written);
}

function storedKeyOf(read: Payload): StoredKey {
  const {
    issuer,
    created_by: createdBy,
    end,
    replaced_by: replacedBy,
    kept_until: keptUntil,
    version,
  } = read;
  const { id, sha256, subject, client, scopes, claims, created, expires, note } = read;
  return {
    issuer,
    entry: { id, sha256, subject, client, scopes, claims, created, expires, note },
    createdBy,
    end: end && { at: end.at, by: end.by, reason: end.reason },
    replacedBy,
    keptUntil,
    version: parseVersion(version),
  };
}
