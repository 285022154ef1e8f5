/** Which protocols the clients of a listener may speak, and what is wrong with the combination. Pure. */
import type { z } from 'zod';
import type { ListenerProtocol } from '../server/http2-preface.ts';
import { PROTOCOLS, type Protocol } from '../tls/server-certificates.ts';
import type { listener } from './listener-schema.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, type Raw } from './raw-document.ts';

type Protocols = Pick<z.output<typeof listener>, 'protocols' | 'tls' | 'dialect'>;

/** The protocols of a listener, the preferred one first. */
export function protocolsOf({ protocols, tls, dialect }: Protocols): readonly ListenerProtocol[] {
  if (protocols) return protocols;
  if (tls) return tls.protocols ?? PROTOCOLS;
  return dialect === 'ext_authz' ? ['h2c', 'http/1.1'] : ['http/1.1'];
}

/** What a listener offers in a TLS handshake. */
export function offeredOverTls(listener: Protocols): Protocol[] {
  return protocolsOf(listener).filter((protocol) => protocol !== 'h2c');
}

/** The dialect ext_authz is gRPC, which is HTTP/2 only. */
export function grpcDialectProblems(raw: Raw): Problem[] {
  return listOf(raw['listeners']).flatMap((listener, index) => {
    const { dialect, protocols, tls } = rawOf(listener);
    const [named, key] =
      protocols === undefined ? [rawOf(tls)['protocols'], ['tls', 'protocols']] : [protocols, ['protocols']];
    if (dialect !== 'ext_authz' || named === undefined) return [];
    const needed = tls === undefined ? 'h2c' : 'h2';
    return listOf(named).includes(needed)
      ? []
      : [
          {
            path: ['listeners', index, ...key],
            atKey: true,
            message: `lacks ${needed}, which dialect: ext_authz needs, since it is gRPC; add ${needed}`,
          },
        ];
  });
}

/** Protocols that the listener cannot speak, or that are named in two places. */
export function protocolProblems(raw: Raw): Problem[] {
  return listOf(raw['listeners']).flatMap((listener, index) => {
    const { protocols, tls } = rawOf(listener);
    if (protocols === undefined) return [];
    const problem = (key: string, message: string): Problem => ({
      path: ['listeners', index, ...key.split('.')],
      atKey: true,
      message,
    });
    const named = listOf(protocols);
    return [
      ...(tls !== undefined && named.includes('h2c')
        ? [problem('protocols', 'has h2c, which is HTTP/2 without TLS, beside tls; write h2 for h2c')]
        : []),
      ...(tls === undefined && named.includes('h2')
        ? [problem('protocols', 'has h2, which needs tls; add that, or write h2c for HTTP/2 without TLS')]
        : []),
      ...(new Set(named).size < named.length
        ? [problem('protocols', 'names a protocol twice; remove one of them')]
        : []),
      ...(rawOf(tls)['protocols'] === undefined
        ? []
        : [problem('tls.protocols', 'stands beside protocols of the listener, its newer name; remove it')]),
    ];
  });
}
