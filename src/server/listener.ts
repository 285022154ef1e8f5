/**
 * A public listener, from its first connection to its drain: address, reload, idle connections, end. Rules H16, H19.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ClientConnections, type ConnectionPolicy } from './client-connections.ts';
import type { Clock } from '../clock.ts';
import { ListenerCounts, type ClientProtocol } from './listener-counts.ts';
import { CHECK_INTERVAL_MS, Http1Server, type Http1Limits } from './http1-server.ts';
import type { ListenerProtocol } from './http2-preface.ts';
import { Http2Sessions, type Http2Limits } from './http2-sessions.ts';
import { ListenerCertificates, type ListenerTls } from '../tls/server-certificates.ts';
import type { Site } from './request-handler.ts';
import type { SocketHandle } from './shared-sockets.ts';

export interface ListenerOptions extends Http1Limits, Http2Limits {
  readonly host: string;
  readonly port: number;
  readonly reusePort: boolean;
  /** Undefined: plaintext. */
  readonly tls: ListenerTls | undefined;
  readonly protocols: readonly ListenerProtocol[];
  /** Value of Strict-Transport-Security; undefined: it is not sent. */
  readonly strictTransportSecurity: string | undefined;
}

/** RFC 6797. */
const STS = 'strict-transport-security';
/** During a drain, how often connections that are now idle are closed. */
const DRAIN_STEP_MS = 50;

export class Listener {
  readonly counts = new ListenerCounts();
  #options: ListenerOptions;
  #site: Site;
  readonly #clock: Clock;
  readonly #certificates: ListenerCertificates | undefined;
  readonly #http1: Http1Server;
  readonly #http2: Http2Sessions;
  readonly #connections: ClientConnections;
  #cancelIdleCheck: () => void = () => undefined;

  constructor(options: ListenerOptions, site: Site, clock: Clock) {
    this.#options = options;
    this.#site = site;
    this.#clock = clock;
    this.#certificates = options.tls && new ListenerCertificates(options.tls);
    this.#connections = new ClientConnections(this.#connectionPolicy, this.counts, clock);
    this.#http2 = new Http2Sessions(
      () => this.#options,
      (request, response, connection) => this.#site.handle(request, response, connection).serve(),
      this.counts,
      clock,
    );
    this.#http1 = new Http1Server({
      limits: () => this.#options,
      site: () => this.#site,
      connections: this.#connections,
      counts: this.counts,
      certificates: this.#certificates,
      protocols: options.protocols,
      acceptHttp2: (socket, connection, withinMs) => this.#http2.accept(socket, connection, withinMs),
      clock,
    });
  }

  /**
   * @param failed called when a connection could not be accepted; the listener goes on
   * @param socket that is bound already; undefined: its own, at the configured address
   * @throws Error if the address cannot be opened
   */
  async listen(failed: (error: Error) => void, socket?: SocketHandle): Promise<void> {
    const { host, port, reusePort } = this.#options;
    const server = this.#http1.node;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(socket ?? { host, port, reusePort }, resolve);
    await promise;
    server.off('error', reject);
    server.on('error', failed);
    this.#checkIdle();
  }

  get address(): AddressInfo {
    return this.#http1.node.address() as AddressInfo;
  }

  /** Connections that are open now. */
  get openConnections(): Record<ClientProtocol, number> {
    return this.#connections.open();
  }

  /** Applies another configuration, from the next request on. Address and port stay. */
  update(options: ListenerOptions, site: Site): void {
    this.#options = options;
    this.#site = site;
    this.#http1.applyLimits();
    this.#connections.update(this.#connectionPolicy);
    if (!options.tls || !this.#certificates) return;
    this.#certificates.update(options.tls);
    const server = this.#http1.node;
    if ('setSecureContext' in server) server.setSecureContext(this.#certificates.contextOptions);
  }

  /**
   * For `delayMs`, responses say that their connection ends. After that the listener accepts no new connections;
   * requests in flight and tunnels end by themselves, or are cut off after `drainMs`.
   */
  async drain(delayMs: number, drainMs: number): Promise<void> {
    const { node: server, tunnels } = this.#http1;
    this.#http1.draining = true;
    // Not the injected clock's timers, which would let the process end before the drain has.
    if (delayMs > 0) await pause(delayMs);
    this.#cancelIdleCheck();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    this.#http2.drain();
    const deadlineMs = this.#clock.monotonicMs() + drainMs;
    let done = false;
    void closed.then(() => (done = true));
    while (!(done && tunnels.size === 0) && this.#clock.monotonicMs() < deadlineMs) {
      this.#http1.endIdle();
      const step = pause(DRAIN_STEP_MS);
      await Promise.race([step, closed.then(() => (tunnels.size === 0 ? undefined : step))]);
    }
    this.#connections.cutOff();
    for (const socket of tunnels) socket.destroy();
    this.#http2.destroy();
    server.closeAllConnections();
    await closed;
    // The server is closed before its last sockets tell so: what ends with them must still reach the log.
    await pause(0);
  }

  /** What this listener's connections have in common, by the configuration that is now in place. */
  get #connectionPolicy(): ConnectionPolicy {
    const { strictTransportSecurity, tls } = this.#options;
    return {
      scheme: tls ? 'https' : 'http',
      isTrusted: (peer) => this.#site.isTrusted(peer),
      commonHeaders: strictTransportSecurity === undefined ? [] : [STS, strictTransportSecurity],
      takesUnverified: tls?.clientCertificates === 'unverified',
    };
  }

  /** Ends the connections that have been idle for too long, once a second. */
  #checkIdle(): void {
    for (const socket of this.#connections.idleFor(this.#options.idleTimeoutMs)) {
      if (!this.#http2.end(socket)) socket.destroy();
    }
    this.#cancelIdleCheck = this.#clock.after(CHECK_INTERVAL_MS, () => this.#checkIdle());
  }
}
