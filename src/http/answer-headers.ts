/**
 * The headers of an upstream's answer as the client is to get them. Pure. RFC 9110 section 7.6.1.
 */

/** As Node and undici give them: lower-case names, repeated fields as arrays. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'transfer-encoding',
  'upgrade',
  // Ours is set instead, so that client, gateway and upstream speak of one request by one id.
  'x-request-id',
]);

/** Names and values in turn, without what was for the upstream's connection only. */
export function answerHeaders(headers: AnswerHeaders, requestId: string): string[] {
  const passed: string[] = [];
  const { connection } = headers;
  const options = connection === undefined ? undefined : connectionOptions(connection);
  for (const name in headers) {
    if (HOP_BY_HOP.has(name) || options?.has(name) === true) continue;
    const value = headers[name];
    if (typeof value === 'string') passed.push(name, value);
    else for (const each of value ?? []) passed.push(name, each);
  }
  passed.push('x-request-id', requestId);
  return passed;
}

function connectionOptions(connection: string | readonly string[]): ReadonlySet<string> | undefined {
  if (connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(
    String(connection)
      .toLowerCase()
      .split(',')
      .map((option) => option.trim()),
  );
}
