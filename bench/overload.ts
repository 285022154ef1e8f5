/**
 * Measures load shedding: with twice the requests that the gateway can serve, how many it still serves and how fast
 * it refuses the others with 503. Requests are sent at a fixed rate, whether or not earlier ones are complete.
 *
 *   node bench/overload.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { withBenchEnvironment } from './pairs.ts';

const IN_FLIGHT = 50;
const SERVICE_MS = 20;
const SECONDS = 8;
const STEP_MS = 2;

interface Outcome {
  readonly served: number;
  /** How long each 503 took. */
  readonly refusedMs: readonly number[];
}

/** Sends `aSecond` requests a second, over as many keep-alive connections as that takes. */
async function load(port: number, request: string, aSecond: number): Promise<Outcome> {
  const idle: Socket[] = [];
  const all: Socket[] = [];
  const sentAtMs = new Map<Socket, number>();
  const refusedMs: number[] = [];
  let served = 0;
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay();
    socket.on('error', (error) => console.log(error.message));
    // Responses are small: each arrives in one chunk.
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1', 9, 12) === '200') served++;
      else refusedMs.push(performance.now() - (sentAtMs.get(socket) ?? 0));
      idle.push(socket);
    });
    await once(socket, 'connect');
    all.push(socket);
    return socket;
  };
  for (let index = 0; index < 4 * IN_FLIGHT; index++) idle.push(await open());
  const sinceMs = performance.now();
  let sent = 0;
  while (performance.now() - sinceMs < SECONDS * 1000) {
    const due = ((performance.now() - sinceMs) / 1000) * aSecond;
    for (; sent < due; sent++) {
      const socket = idle.shift() ?? (await open());
      sentAtMs.set(socket, performance.now());
      socket.write(request);
    }
    await pause(STEP_MS);
  }
  await pause(10 * SERVICE_MS);
  for (const socket of all) socket.destroy();
  return { served: served / SECONDS, refusedMs };
}

await withBenchEnvironment(async ({ configuration, start, token }) => {
  const upstream = createServer((_request, response) => {
    setTimeout(() => response.end('ok'), SERVICE_MS);
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const targets = [`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`];
  const gateway = await start(
    configuration({ upstreams: { orders: { targets } }, limits: { in_flight: IN_FLIGHT } }),
  );
  const request = `GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const capacity = (IN_FLIGHT * 1000) / SERVICE_MS;
  await load(gateway.port, request, capacity / 2);
  let peak = 0;
  for (const part of [0.8, 0.9, 1]) {
    const { served, refusedMs } = await load(gateway.port, request, part * capacity);
    console.log(`${part * capacity} a second: ${served.toFixed(0)} served, ${refusedMs.length} refused`);
    peak = Math.max(peak, served);
  }
  const { served, refusedMs } = await load(gateway.port, request, 2 * peak);
  const sorted = [...refusedMs].sort((a, b) => a - b);
  const at = (quantile: number): string =>
    (sorted[Math.floor(quantile * (sorted.length - 1))] ?? NaN).toFixed(1);
  console.log(
    `${(2 * peak).toFixed(0)} a second: ${served.toFixed(0)} served, ${((100 * served) / peak).toFixed(0)} % of the peak; ` +
      `${sorted.length} refused, in ms: p50 ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`,
  );
  upstream.closeAllConnections();
  upstream.close();
});
