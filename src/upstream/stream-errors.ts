/** How a request to an upstream can end before it was processed, or an HTTP/2 stream without a whole response. */

/** The server takes no requests any more, or its address is known by now: another choice has to be made. Nothing was sent. */
export class TargetsChanged extends Error {
  override readonly name = 'TargetsChanged';
}

/** The upstream reset it (RFC 9113 section 6.4). */
export class StreamReset extends Error {
  override readonly name = 'StreamReset';
  /** RFC 9113 section 7. */
  readonly resetCode: number;

  constructor(code: number) {
    super(`the upstream reset the stream (code ${code})`);
    this.resetCode = code;
  }
}

/** The upstream has not looked at the request, and says so (RFC 9113 section 8.7): it may be sent again, whatever its method. */
export class StreamRefused extends Error {
  override readonly name = 'StreamRefused';
  /** What it had taken of the body; undefined where that is too much to be sent again. */
  readonly replay: readonly Buffer[] | undefined;

  constructor(replay: readonly Buffer[] | undefined) {
    super('the upstream refused the stream');
    this.replay = replay;
  }
}
