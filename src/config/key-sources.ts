/** Where an issuer of JWTs may have its keys from. Pure. */

/** Where public keys come from: one of them at most. */
export const KEY_SET_SOURCES = ['discovery', 'jwks_url', 'jwks_file', 'jwks'] as const;
/** A shared secret may stand beside them. */
export const SECRET_SOURCES = ['hmac_secret', 'hmac_secret_file'] as const;
export const KEY_SOURCES = [...KEY_SET_SOURCES, ...SECRET_SOURCES] as const;
