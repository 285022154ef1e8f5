/**
 * What Envoy is told by gRPC: `envoy.service.auth.v3.CheckResponse`. Pure.
 * Field numbers: external_auth.proto, base.proto and http_status.proto of Envoy’s API v3. Rules C1, C2.
 */
import type { FieldList } from './field-list.ts';
import { GrpcStatus } from './grpc-response.ts';
import { headerAlias, HeaderKind } from './header-names.ts';
import { MessageWriter } from './protobuf.ts';
import type { RequestHead } from './request-head.ts';

/** CheckResponse */
const Response = { status: 1, denied: 2, ok: 3 } as const;
/** google.rpc.Status */
const STATUS_CODE = 1;
/** DeniedHttpResponse; its status is a type.v3.HttpStatus. */
const Denied = { status: 1, headers: 2, body: 3 } as const;
const HTTP_STATUS_CODE = 1;
/** OkHttpResponse */
const Ok = { headers: 2, headersToRemove: 5, responseHeadersToAdd: 6 } as const;
/** core.v3.HeaderValueOption and core.v3.HeaderValue */
const Option = { header: 1, append: 2, appendAction: 3 } as const;
const Pair = { key: 1, value: 2 } as const;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;

/** How a request that may pass is changed on its way. Names are in lower case. */
export interface Passage {
  /** What the upstream gets, each instead of all fields of that name. */
  readonly set: FieldList;
  /** What the upstream does not get. Envoy compares whole names, without case. */
  readonly remove: readonly string[];
  /** What the client gets with the response, each instead of the upstream’s. */
  readonly respond: FieldList;
}

/** The request may pass. */
export function allowMessage({ set, remove, respond }: Passage): Uint8Array {
  const writer = new MessageWriter();
  return writer
    .message(Response.status)
    .message(Response.ok, () => {
      writeOptions(writer, Ok.headers, set);
      for (const name of remove) writer.string(Ok.headersToRemove, name);
      writeOptions(writer, Ok.responseHeadersToAdd, respond);
    })
    .finish();
}

/** The request may not pass; the client gets this response. */
export function denyMessage(status: number, headers: FieldList, body: string): Uint8Array {
  const writer = new MessageWriter();
  return writer
    .message(Response.status, () => writer.number(STATUS_CODE, codeOf(status)))
    .message(Response.denied, () => {
      writer.message(Denied.status, () => writer.number(HTTP_STATUS_CODE, status));
      writeOptions(writer, Denied.headers, headers);
      writer.string(Denied.body, body);
    })
    .finish();
}

/** For proxies that do not read the HTTP status. */
function codeOf(status: number): GrpcStatus {
  if (status === 401) return GrpcStatus.unauthenticated;
  return status >= 500 ? GrpcStatus.unavailable : GrpcStatus.permissionDenied;
}

/** Both the present and the deprecated way to say it: older proxies know only `append`, which is false here. */
function writeOptions(writer: MessageWriter, field: number, headers: FieldList): void {
  for (let at = 0; at < headers.length; at += 2)
    writer.message(field, () =>
      writer
        .message(Option.header, () =>
          writer.string(Pair.key, headers[at] ?? '').string(Pair.value, headers[at + 1] ?? ''),
        )
        .message(Option.append)
        .number(Option.appendAction, OVERWRITE_IF_EXISTS_OR_ADD),
    );
}

/** Credentials, which end at the gateway; the certificate is part of one that is bound to it (rule M1). */
const CREDENTIALS = ['authorization', 'proxy-authorization', 'dpop', 'client-cert', 'client-cert-chain'];

/**
 * Identity for the upstream, and what must not reach it: identity headers of which nothing is to be said, the client’s
 * own spellings of all of them (`X_User_Id`), odd spellings of other names that only gateways may write, and credentials.
 *
 * @param names every identity header of the configuration
 * @param ours names and values in turn; names are among `names`
 * @param keyHeaders every header for API keys, in lower case: credentials, too
 * @param keepsAuthorization the route forwards Authorization
 */
export function passageOf(
  { rawHeaders, kinds }: RequestHead,
  names: readonly string[],
  keyHeaders: readonly string[],
  ours: FieldList,
  keepsAuthorization: boolean,
): { readonly set: readonly string[]; readonly remove: readonly string[] } {
  const set = new Map<string, string>();
  for (let at = 0; at < ours.length; at += 2) {
    // An empty value says as much as none, and proxies differ on what they do with it.
    if (ours[at + 1]) set.set((ours[at] ?? '').toLowerCase(), ours[at + 1] ?? '');
  }
  const credentials = keepsAuthorization ? CREDENTIALS.slice(1) : CREDENTIALS;
  const remove = new Set([...credentials, ...keyHeaders, ...keyHeaders.map(headerAlias)]);
  for (const name of names) if (!set.has(name.toLowerCase())) remove.add(name.toLowerCase());
  for (const [index, kind] of kinds.entries()) {
    const name = (rawHeaders[2 * index] ?? '').toLowerCase();
    const isOdd = kind === HeaderKind.drop && headerAlias(name) !== name;
    if ((kind === HeaderKind.identity && !set.has(name)) || isOdd) remove.add(name);
  }
  return { set: [...set].flat(), remove: [...remove] };
}
