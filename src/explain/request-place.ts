/** Where an imagined request goes, as its URL says. Pure. */

interface RequestPlace {
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  /** Path and query, as they would stand in the request line. */
  readonly target: string;
}

/** Undefined where the text is no http or https URL. Nothing in it is normalized: the gateway reads it as it is written. */
export function requestPlace(url: string): RequestPlace | undefined {
  const [, scheme, authority = '', target = ''] = /^(https?):\/\/([^/?#]+)([^#]*)$/i.exec(url) ?? [];
  if (scheme === undefined) return undefined;
  return {
    scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http',
    authority,
    target: onTheWire(target.startsWith('/') ? target : `/${target}`),
  };
}

/** Bytes as the gateway sees them: one character each. */
export function onTheWire(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
