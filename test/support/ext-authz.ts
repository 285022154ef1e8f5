/** A proxy that asks by gRPC whether requests may pass, as Envoy does, with Envoy’s own .proto files. */
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Test } from 'tap';

const PROTOS = new URL('../../node_modules/@grpc/grpc-js-xds/deps/', import.meta.url).pathname;

interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly append?: { readonly value?: boolean };
  readonly append_action?: number;
}

/** envoy.service.auth.v3.CheckResponse */
export interface CheckResponse {
  readonly status?: { readonly code?: number };
  readonly ok_response?: {
    readonly headers?: readonly HeaderOption[];
    readonly headers_to_remove?: readonly string[];
    readonly response_headers_to_add?: readonly HeaderOption[];
  };
  readonly denied_response?: {
    readonly status?: { readonly code?: number };
    readonly headers?: readonly HeaderOption[];
    readonly body?: string;
  };
}

interface Method {
  readonly path: string;
  readonly requestSerialize: (message: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => object;
  readonly responseDeserialize: (bytes: Buffer) => CheckResponse;
}

const definitions = loadSync('envoy/service/auth/v3/external_auth.proto', {
  keepCase: true,
  includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => PROTOS + name),
});
export const CHECK = (definitions['envoy.service.auth.v3.Authorization'] as unknown as { Check: Method })
  .Check;

/** A request that the proxy asks about. */
export interface Original {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly scheme?: string;
  /** Names and values in turn. */
  readonly headers?: readonly string[];
  /** The peer of the proxy. */
  readonly source?: string;
  /** As with `encode_raw_headers`: repeated fields stay apart. */
  readonly raw?: boolean;
}

const OF_ORIGINAL = { method: 'GET', path: '/', host: 'api.example.com', scheme: 'https' };

/** The message that Envoy makes of it: pseudo-header fields are there too, names are in lower case. */
export function checkRequestOf(original: Original): Record<string, unknown> {
  const {
    method,
    path,
    host,
    scheme,
    headers = [],
    source = '203.0.113.7',
    raw = false,
  } = {
    ...OF_ORIGINAL,
    ...original,
  };
  const fields: [name: string, value: string][] = [
    [':authority', host],
    [':method', method],
    [':path', path],
    [':scheme', scheme],
  ];
  for (let at = 0; at < headers.length; at += 2)
    fields.push([(headers[at] ?? '').toLowerCase(), headers[at + 1] ?? '']);
  const joined: Record<string, string> = {};
  for (const [name, value] of fields)
    joined[name] = joined[name] === undefined ? value : `${joined[name]},${value}`;
  const list = fields.map(([key, value]) => ({ key, raw_value: Buffer.from(value, 'latin1') }));
  return {
    attributes: {
      source: { address: { socket_address: { address: source, port_value: 40_000 } } },
      destination: { address: { socket_address: { address: '10.0.0.1', port_value: 8080 } } },
      request: {
        time: { seconds: 1_800_000_000, nanos: 1 },
        http: {
          ...{ id: '1', method, path, host, scheme, size: -1, protocol: 'HTTP/1.1' },
          ...(raw ? { header_map: { headers: list } } : { headers: joined }),
        },
      },
      context_extensions: { virtual_host: 'all' },
      metadata_context: {},
    },
  };
}

export interface Asked {
  /** The status of gRPC. */
  readonly code: number;
  readonly metadata: Metadata;
  readonly response: CheckResponse | undefined;
}

export interface Asker {
  check(request: object, options?: { deadline?: number }): Promise<Asked>;
  /** Any bytes, to any method. */
  call(path: string, message: Buffer): Promise<Asked & { readonly bytes: Buffer | undefined }>;
  ask(original: Original): Promise<Outcome>;
  readonly client: Client;
}

const same = (bytes: Buffer): Buffer => bytes;

export function startAsker(
  t: Test,
  port: number,
  channel = credentials.createInsecure(),
  host = '127.0.0.1',
): Asker {
  const client = new Client(`${host}:${port}`, channel);
  t.teardown(() => client.close());
  const send = async (
    path: string,
    message: Buffer,
    options: { deadline?: number } = {},
  ): Promise<Asked & { readonly bytes: Buffer | undefined }> => {
    const { promise, resolve } = Promise.withResolvers<Asked & { readonly bytes: Buffer | undefined }>();
    let bytes: Buffer | undefined;
    const done = (_error: ServiceError | null, value?: Buffer): void => void (bytes = value);
    const call = client.makeUnaryRequest(path, same, same, message, new Metadata(), options, done);
    call.on('status', ({ code, metadata }) =>
      setImmediate(() => {
        const response = path === CHECK.path && bytes ? CHECK.responseDeserialize(bytes) : undefined;
        resolve({ code, metadata, response, bytes });
      }),
    );
    return promise;
  };
  const check = (request: object, options?: { deadline?: number }): Promise<Asked> =>
    send(CHECK.path, CHECK.requestSerialize(request), options);
  return {
    client,
    check,
    call: send,
    ask: async (original) => outcomeOf(await check(checkRequestOf(original)), original),
  };
}

/** What a proxy does then. */
export interface Outcome {
  /** 200: the request passes. 0: the call failed, which is no decision. */
  readonly status: number;
  /** The problem’s, where it is refused. */
  readonly code: string | undefined;
  /** Of the refusal. */
  readonly headers: Record<string, string>;
  /** What the upstream gets, as Envoy changes it; names in lower case. */
  readonly upstream: Record<string, string>;
}

function outcomeOf({ code, response }: Asked, { headers = [] }: Original): Outcome {
  const upstream: Record<string, string> = {};
  if (code !== 0 || !response) return { status: 0, code: undefined, headers: {}, upstream };
  const { status, ok_response: ok, denied_response: denied } = response;
  if (!status || (status.code ?? 0) !== 0 || !ok) {
    const isProblem = denied?.body?.startsWith('{') === true;
    return {
      status: denied?.status?.code ?? 403,
      code: isProblem ? (JSON.parse(denied.body ?? '') as { code: string }).code : undefined,
      headers: fieldsOf(denied?.headers),
      upstream,
    };
  }
  for (let at = 0; at < headers.length; at += 2)
    upstream[(headers[at] ?? '').toLowerCase()] = headers[at + 1] ?? '';
  Object.assign(upstream, fieldsOf(ok.headers));
  for (const name of ok.headers_to_remove ?? []) delete upstream[name];
  return { status: 200, code: undefined, headers: fieldsOf(ok.response_headers_to_add), upstream };
}

/** Each must overwrite; one that is appended would stand beside the client’s own. */
function fieldsOf(options: readonly HeaderOption[] = []): Record<string, string> {
  return Object.fromEntries(
    options.map(({ header, append, append_action }) => {
      if (append?.value === true || append_action !== 2) throw new Error(`${header.key} is appended`);
      return [header.key, header.value];
    }),
  );
}
