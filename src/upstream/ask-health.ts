/** Asks a target once how it is, on a connection of its own: for health checks, and for `check --online`. */
import { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { FieldList } from '../http/field-list.ts';
import type { ResponseHead } from '../http/response-head.ts';
import type { TargetUrl } from '../http/target-url.ts';
import { describeError } from '../telemetry/logger.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { CHECK_PATH, checkRequest, healthFinding, type Finding } from './grpc-health.ts';
import { openLink } from './open-link.ts';
import type { Endpoint } from './open-socket.ts';
import type { LinkUser, UpstreamLink, UpstreamRequest } from './upstream-link.ts';

/** `path`: GET. `service`: its name in the health protocol of gRPC, which may be empty. */
export type HealthQuestion =
  { readonly kind: 'http'; readonly path: string } | { readonly kind: 'grpc'; readonly service: string };

/** Larger than any HealthCheckResponse. */
const MAX_REPLY_BYTES = 4 * 1024;
/** As many digits as grpc-timeout may have. */
const MAX_GRPC_TIMEOUT = 99_999_999;
const AGENT = ['user-agent', 'sallyport-health'];

/** The reader is that of requests: what is no valid response to them fails here, too. */
export function askHealth(
  question: HealthQuestion,
  target: TargetUrl & Endpoint,
  tls: TlsClient,
  timeoutMs: number,
  clock: Clock,
): { readonly finding: Promise<Finding>; close(): void } {
  const { promise, resolve } = Promise.withResolvers<Finding>();
  const fail = (says: string): void => resolve({ passes: false, says });
  let link: UpstreamLink | undefined;
  const attempt = openLink(target, tls, {
    connected: (made) => {
      link = made;
      const { request, user } =
        question.kind === 'grpc' ? byGrpc(question.service, timeoutMs) : byHttp(question.path);
      made.send({ ...request, host: target.origin.host }, user(resolve));
    },
    closed: (error) => fail(error ? describeError(error) : 'the target closed the connection'),
  });
  const cancel = clock.after(timeoutMs, () => fail(`no response within ${timeoutMs} ms`));
  const close = (): void => fail('the check was ended');
  const finding = promise.finally(() => {
    cancel();
    link?.abandon();
    attempt.close(new Error('the check is over'));
  });
  return { finding, close };
}

type Resolve = (finding: Finding) => void;
interface Asked {
  readonly request: Omit<UpstreamRequest, 'host'>;
  readonly user: (resolve: Resolve) => LinkUser;
}

/** 2xx and 3xx pass. */
function byHttp(path: string): Asked {
  const { pathname, search } = new URL(path, 'http://target');
  return {
    request: {
      body: undefined,
      replay: [],
      outbound: {
        method: 'GET',
        target: `${pathname}${search}`,
        headers: [...AGENT, 'connection', 'close'],
        hasBody: false,
        contentLength: undefined,
        upgrade: undefined,
      },
    },
    user: (resolve) => ({
      ...IGNORED,
      begin: ({ status }) => resolve({ passes: status < 400, says: `status ${status}` }),
      failed: (error) => resolve({ passes: false, says: describeError(error) }),
    }),
  };
}

function byGrpc(service: string, timeoutMs: number): Asked {
  return {
    request: {
      body: Readable.from([checkRequest(service)], { objectMode: false }),
      replay: [],
      outbound: {
        method: 'POST',
        target: CHECK_PATH,
        headers: [
          ...['content-type', 'application/grpc', 'te', 'trailers', ...AGENT],
          ...['grpc-timeout', `${Math.min(timeoutMs, MAX_GRPC_TIMEOUT)}m`],
        ],
        hasBody: true,
        contentLength: undefined,
        upgrade: undefined,
      },
    },
    user: (resolve) => {
      let head: ResponseHead | undefined;
      let body = Buffer.alloc(0);
      return {
        ...IGNORED,
        begin: (begun) => (head = begun),
        data: (chunk) => {
          if (body.length <= MAX_REPLY_BYTES) body = Buffer.concat([body, chunk]);
        },
        end: (trailers: FieldList) =>
          resolve(healthFinding(head?.status ?? 0, head?.headers ?? [], body, trailers)),
        failed: (error) => resolve({ passes: false, says: describeError(error) }),
      };
    },
  };
}

const nothing = (): void => undefined;
/** Of a response to GET only the status counts. */
const IGNORED = {
  informational: nothing,
  data: nothing,
  end: nothing,
  switched: nothing,
  uploading: nothing,
  uploaded: nothing,
  received: nothing,
};
