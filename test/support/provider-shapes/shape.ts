/** How the tokens of a provider look, as its documents publish it. All identifiers are invented. */
import type { Provider } from '../../../src/config/provider-presets.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** When every shape was issued; tests move the dates of a shape to their own time. */
export const ISSUED_AT = 1_767_225_600;

/** A token that must not pass: other claims of a JWT, or a text that is no JWT. */
export interface Refused {
  readonly header?: Claims;
  /** Changes to the claims that pass; undefined removes one. */
  readonly changes?: Claims;
  /** All claims, where the token looks otherwise altogether. */
  readonly claims?: Claims;
  readonly opaque?: string;
}

export interface Shape {
  readonly provider: Provider;
  /** Of what this is a token, in words that are unique for the provider. */
  readonly what: string;
  /** Where the shape is published, or "not verified". */
  readonly source: string;
  /** The page below docs/, and which of its configurations accepts the token. */
  readonly page: string;
  readonly configuration: number;
  readonly header: Claims;
  readonly claims: Claims;
  /** Of the identity headers, what the upstream gets; a name that is not here is not sent. */
  readonly upstream: {
    readonly 'x-user-id': string;
    readonly 'x-client-id'?: string;
    readonly 'x-scopes'?: string;
  };
  readonly refused: {
    readonly 'another client': Refused;
    readonly 'another tenant': Refused;
    /** Undefined: the provider has none. */
    readonly 'ID token': Refused | undefined;
    readonly 'refresh token': Refused | undefined;
  };
}

/** Providers whose refresh tokens are no JWTs: a text without meaning for others. */
export const OPAQUE_REFRESH: Refused = { opaque: 'v1.MjM0NTY3ODktb3BhcXVlLXJlZnJlc2gtdG9rZW4' };
