/**
 * Keys that may verify signatures: a JWK is taken only if all it says of itself agrees (RFC 7517 sections 4
 * and 5, RFC 7518 section 6, RFC 8725 section 3). Pure. Rules J5 to J7.
 */
import { createPublicKey, createSecretKey, hash, type KeyObject } from 'node:crypto';
import { KEY_REQUIREMENTS, type SignatureAlgorithm } from './algorithms.ts';

/** A key of one issuer. */
export interface VerificationKey {
  readonly keyId: string | undefined;
  /** Whose tokens it signs, where its JWK says so in `issuer`; "" where that is no text, which is no issuer. */
  readonly issuer: string | undefined;
  /** The algorithms that the key itself permits. */
  readonly algorithms: ReadonlySet<SignatureAlgorithm>;
  readonly key: KeyObject;
  /** Two keys with the same fingerprint are the same key. */
  readonly fingerprint: string;
  /** True once the key has left its set: the gateway no longer uses what it verified (rule K5). */
  retired: boolean;
}

const MIN_RSA_BITS = 2048;
/** As in tokens (lexical-gate.ts). */
const MAX_KEY_ID_CHARACTERS = 128;
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
const PUBLIC_KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP', 'AKP']);

/**
 * Takes one public JWK.
 *
 * @param accepted the algorithms that the issuer's configuration allows
 * @returns the key, or a fixed text that says why it cannot be used
 */
export function importKey(
  jwk: Readonly<Record<string, unknown>>,
  accepted: readonly SignatureAlgorithm[],
): VerificationKey | string {
  const { kty, crv, use, key_ops: operations, alg, kid, issuer } = jwk;
  if (!PUBLIC_KEY_TYPES.has(kty)) return 'its kty is not RSA, EC, OKP or AKP';
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return 'it is a private key';
  if (use !== undefined && use !== 'sig') return 'its use is not sig';
  if (operations !== undefined && !isForVerifying(operations)) {
    return 'its key_ops are not those of a key that verifies';
  }
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KEY_ID_CHARACTERS))
    return `its kid is no string of at most ${MAX_KEY_ID_CHARACTERS} characters`;
  const algorithms = accepted.filter((algorithm) => {
    const required = KEY_REQUIREMENTS[algorithm];
    return (
      required.kty === kty &&
      (required.crv === undefined || required.crv === crv) &&
      (required.alg === undefined || required.alg === alg) &&
      agrees(alg, algorithm)
    );
  });
  if (algorithms.length === 0) return 'no accepted algorithm fits its kty, crv and alg';
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return 'its numbers are no key';
  }
  if (kty === 'RSA') {
    const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
    if (modulusLength < MIN_RSA_BITS) return `its modulus is shorter than ${MIN_RSA_BITS} bits`;
    if (publicExponent < 3n || publicExponent % 2n === 0n) return 'its exponent is even or less than 3';
    if (hasRocaMark(jwk['n']))
      return 'its modulus is of a generator whose keys can be factored (CVE-2017-15361)';
  }
  return {
    keyId: kid,
    issuer: issuer === undefined || typeof issuer === 'string' ? issuer : '',
    algorithms: new Set(algorithms),
    key,
    fingerprint: JSON.stringify([kid, alg, issuer, key.export({ format: 'jwk' })]),
    retired: false,
  };
}

/** The odd primes up to 167, by which moduli of the broken generator are known. */
const ROCA_PRIMES = Array.from({ length: 165 }, (_, index) => index + 3).filter(
  (candidate) =>
    !Array.from({ length: candidate - 2 }, (_, index) => index + 2).some((d) => candidate % d === 0),
);

/**
 * CVE-2017-15361 (ROCA): modulo each of these primes, such a modulus is a power of 65537. One sound modulus in some
 * hundred million is, too.
 */
function hasRocaMark(modulus: unknown): boolean {
  const n = BigInt(`0x${Buffer.from(String(modulus), 'base64url').toString('hex')}`);
  return ROCA_PRIMES.every((prime) => {
    const rest = Number(n % BigInt(prime));
    for (let power = 1, tries = 0; tries < prime; tries++, power = (power * 65_537) % prime)
      if (power === rest) return true;
    return false;
  });
}

/** RFC 7517 section 4.3: no operation twice, and none that has nothing to do with the others. */
function isForVerifying(operations: unknown): boolean {
  return (
    Array.isArray(operations) &&
    operations.includes('verify') &&
    operations.every((operation, index) => SIGNING.has(operation) && operations.indexOf(operation) === index)
  );
}

const SIGNING: ReadonlySet<unknown> = new Set(['sign', 'verify']);

/** EdDSA and Ed25519 name the same algorithm (RFC 9864). */
function agrees(declared: unknown, algorithm: SignatureAlgorithm): boolean {
  const normal = (name: unknown): unknown => (name === 'Ed25519' ? 'EdDSA' : name);
  return declared === undefined || normal(declared) === normal(algorithm);
}

/** A shared secret as a key. The configuration has checked its length (RFC 7518 section 3.2). */
export function secretKey(
  secret: string | Buffer,
  algorithms: readonly SignatureAlgorithm[],
): VerificationKey {
  return {
    keyId: undefined,
    issuer: undefined,
    algorithms: new Set(algorithms),
    key: createSecretKey(typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret),
    fingerprint: 'secret',
    retired: false,
  };
}

/** A member of a key set that cannot be used. */
export interface SkippedKey {
  /** Its place in the set. */
  readonly index: number;
  /** What its kid says, where that is fit to be shown. */
  readonly keyId: string | undefined;
  /** Fixed text. */
  readonly reason: string;
  /** Stands for the member: changes when any of it does. */
  readonly digest: string;
}

export interface KeyImport {
  readonly keys: readonly VerificationKey[];
  /** The members that the keys were made of: public JWKs, without what is absent. */
  readonly accepted: readonly object[];
  /** Members that were left out, for the log. */
  readonly skipped: readonly SkippedKey[];
}

/** One line about a member that was left out. */
export function skippedText({ index, keyId, reason }: SkippedKey): string {
  const which = keyId === undefined ? '' : ` (kid ${JSON.stringify(keyId)})`;
  return `keys[${index}]${which} is left out: ${reason}`;
}

/** Far more keys than any issuer has; a bound on what a broken endpoint can make us import. */
const MAX_KEYS = 100;

/**
 * Takes a JWK Set (RFC 7517 section 5). Members that cannot be used are left out, as the RFC asks.
 *
 * @throws TypeError where it is no key set at all
 */
export function importKeySet(document: unknown, accepts: readonly SignatureAlgorithm[]): KeyImport {
  const members = (document as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(members)) throw new TypeError('it is no JWK Set: it has no array "keys"');
  if (members.length > MAX_KEYS) throw new TypeError(`it has more than ${MAX_KEYS} keys`);
  const keys = new Map<string, VerificationKey>();
  const accepted = new Map<string, object>();
  const skipped: SkippedKey[] = [];
  members.forEach((member: unknown, index) => {
    const isObject = typeof member === 'object' && member !== null && !Array.isArray(member);
    const jwk = isObject ? withoutAbsent(member) : {};
    const key = isObject ? importKey(jwk, accepts) : 'it is no object';
    if (typeof key === 'string') {
      skipped.push({ index, keyId: shownKeyId(jwk), reason: key, digest: digestOf(member) });
    } else {
      keys.set(key.fingerprint, key);
      accepted.set(key.fingerprint, jwk);
    }
  });
  return { keys: [...keys.values()], accepted: [...accepted.values()], skipped };
}

/**
 * Some authorization servers write a member that they have no value for as null or as an empty list (`oth`, `x5c`,
 * `key_ops`), or a private one as an empty text: these mean that it is absent.
 */
function withoutAbsent(jwk: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(jwk).filter(
      ([name, value]: [string, unknown]) =>
        value !== null &&
        !(Array.isArray(value) && value.length === 0) &&
        !(value === '' && PRIVATE_MEMBERS.includes(name)),
    ),
  );
}

function shownKeyId({ kid }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof kid === 'string' && kid.length <= MAX_KEY_ID_CHARACTERS ? kid : undefined;
}

function digestOf(member: unknown): string {
  return hash('sha256', JSON.stringify(member) ?? '', 'base64url');
}
