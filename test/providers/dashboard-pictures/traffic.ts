/**
 * The requests of a busy shop, for as long as a picture shows: customers who browse, buy and search, a client whose token has
 * expired, and a payment service that fails for a while. The same seed sends the same requests.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { send } from '../../support/client.ts';
import type { DashboardScene } from '../../support/dashboard-scene.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { claimsOf, mint, nowSeconds } from '../../support/tokens.ts';
import type { RequestListener } from 'node:http';

const TICK_MS = 100;
const PER_SECOND = 1000 / TICK_MS;
/** From 0 to 1: how far the time is. */
type Part = number;

const between = (part: Part, from: Part, to: Part): boolean => part >= from && part < to;
const OUTAGE: readonly [Part, Part] = [0.42, 0.58];
const EXPIRED: readonly [Part, Part] = [0.68, 0.84];

export class Traffic {
  readonly #random = new SeededRandom(7);
  readonly #sent: Promise<unknown>[] = [];
  /** What is due of each route, in parts of a request. */
  readonly #due: Record<string, number> = {};
  #part: Part = 0;
  #turn = 0;

  /** The services behind the routes: each has its pace. */
  readonly respond: RequestListener = ({ url = '' }, response) => {
    const isSlow = this.#random.below(100) < 2;
    const search = isSlow ? 1_100 : 60 + this.#random.below(240);
    const milliseconds = url.startsWith('/search') ? search : 4 + this.#random.below(28);
    setTimeout(() => response.end('ok'), milliseconds);
  };

  /** The payment service: it takes its time, and breaks off while it is out of order. */
  readonly respondToPayments: RequestListener = ({ socket }, response) => {
    if (between(this.#part, ...OUTAGE) && this.#random.below(10) < 7) socket.destroy();
    else setTimeout(() => response.end('ok'), 40 + this.#random.below(120));
  };

  /** Sends for so many seconds. @param early called once, in the first tenth */
  async send(scene: DashboardScene, seconds: number, early: () => Promise<void>): Promise<void> {
    const ticks = seconds * PER_SECOND;
    const start = Date.now();
    for (let tick = 0; tick < ticks; tick++) {
      this.#part = tick / ticks;
      if (tick === Math.floor(ticks / 10)) await early();
      this.#sendDue(scene);
      await delay(Math.max(0, start + (tick + 1) * TICK_MS - Date.now()));
    }
    await Promise.all(this.#sent);
  }

  /** Requests in a second, by path, now. */
  #rates(): Record<string, number> {
    const wave = 1 + 0.35 * Math.sin(this.#part * 9) + 0.12 * Math.sin(this.#part * 31);
    return {
      '/catalog': 11 * wave,
      '/orders': 7 * wave,
      '/search': 4,
      '/payments': 2.5 * wave,
      '/reports': 0.8,
    };
  }

  #sendDue(scene: DashboardScene): void {
    for (const [path, rate] of Object.entries(this.#rates())) {
      this.#due[path] = (this.#due[path] ?? 0) + (rate / PER_SECOND) * (0.5 + this.#random.below(100) / 100);
      for (; this.#due[path] >= 1; this.#due[path]--) this.#sendOne(scene, path);
    }
  }

  #sendOne({ gateways, key }: DashboardScene, path: string): void {
    const { url = '' } = gateways[this.#turn++ % gateways.length] ?? {};
    const isExpired = between(this.#part, ...EXPIRED) && this.#random.below(10) < 4;
    const claims = isExpired ? { exp: nowSeconds() - 300 } : {};
    const needsToken = path === '/orders' || path === '/reports';
    const isForgotten = this.#random.below(100) < 3;
    const token = needsToken && !isForgotten ? mint(key, claimsOf(claims)) : undefined;
    this.#sent.push(send(url, `${path}/${this.#turn}`, token === undefined ? {} : { token }));
  }
}
