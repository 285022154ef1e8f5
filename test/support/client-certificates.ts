/** Which client certificates the pipeline is told of. */
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';
import { Gateway, type RequestContext } from '../../src/gateway.ts';
import type { ClientCertificate } from '../../src/http/client-cert-header.ts';
import type { RequestHead } from '../../src/http/request-head.ts';
import type { Exchange } from '../../src/telemetry/exchange.ts';

export interface RecordedCertificates {
  /** The one certificate of all requests that come while this runs. */
  during(run: () => Promise<unknown>): Promise<ClientCertificate>;
}

type Step<R> = (head: RequestHead, request: RequestContext, exchange: Exchange) => R;

/** Asks about the certificate of every request, as a stage does for a bound token. */
export function recordedCertificates(t: Test): RecordedCertificates {
  const { decide, permit } = Object.getOwnPropertyDescriptors(Gateway.prototype);
  const seen: ClientCertificate[] = [];
  const asking = <R>(step: TypedPropertyDescriptor<Step<R>>): PropertyDescriptor => ({
    ...step,
    value(this: Gateway, head: RequestHead, request: RequestContext, exchange: Exchange): R | undefined {
      seen.push(request.clientCertificate());
      return step.value?.call(this, head, request, exchange);
    },
  });
  Object.defineProperties(Gateway.prototype, { decide: asking(decide), permit: asking(permit) });
  t.teardown(() => Object.defineProperties(Gateway.prototype, { decide, permit }));
  return {
    async during(run) {
      const from = seen.length;
      await run();
      const certificates = new Set(seen.slice(from));
      if (certificates.size !== 1) throw new Error(`${certificates.size} certificates, not one`);
      return seen[from];
    },
  };
}

/** Sends a request on a connection that speaks HTTP/1.1, and waits for the response. */
export async function responseTo(socket: Duplex): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const take = (chunk: Buffer): void => resolve(chunk.toString());
  const ended = (): void => reject(new Error('the connection has ended'));
  socket.once('data', take).once('close', ended);
  socket.write('GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n');
  try {
    return await promise;
  } finally {
    socket.off('data', take).off('close', ended);
  }
}
