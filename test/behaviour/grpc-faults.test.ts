/** Calls of gRPC while connections to the upstream are reset and told to go, and the configuration is reloaded. Rules G2, G3, H15. */
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { callStream, callUnary, key, startGrpc, startGrpcServer, withToken } from '../support/grpc.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { mint } from '../support/tokens.ts';

const CALLS = Number(process.env['FUZZ_RUNS'] ?? 250);
const WORKERS = 10;
const OK: number = status.OK;
/** What a call may end with that a fault has hit. */
const BROKEN: readonly number[] = [status.INTERNAL, status.UNAVAILABLE];

t.test(
  'G2 H15 with resets, GOAWAY and reloads a call gets its own response or an error',
  { skip: noOpenssl },
  async (t) => {
    const seed = Date.now() % 1_000_000;
    t.comment(`seed ${seed}`);
    const random = new SeededRandom(seed);
    const server = await startGrpcServer(t, [], [], { 'grpc.max_connection_age_ms': 100 });
    const proxy = await startTcpProxy(t, Number(server.split(':').at(-1)));
    const { client, gateway } = await startGrpc(t, {}, `h2c://127.0.0.1:${proxy.port}`);
    const metadata = withToken(mint(key));
    const wrong: string[] = [];
    let begun = 0;
    let passed = 0;
    const one = async (): Promise<void> => {
      // No other call has its text.
      const text = `${begun}:${random.below(1e9)}`.repeat(1 + random.below(100));
      const parts = (text.match(/.{1,37}/g) ?? []).map((part) => Buffer.from(part));
      const kind = random.of(['unary', 'both', 'up']);
      const { code, body = '' } =
        kind === 'unary'
          ? await callUnary(client, '/test.Echo/unary', metadata, text)
          : await callStream(client, `/test.Echo/${kind}`, metadata, parts);
      if (code === OK && body === text) passed++;
      else if (!BROKEN.includes(code) || !text.startsWith(body)) wrong.push(`${kind} ${code}`);
    };
    const worker = async (): Promise<void> => {
      while (begun < CALLS) {
        if (++begun % 50 === 0) await gateway.instance.reload(gateway.loaded);
        if (begun % 20 === 0) proxy.heal();
        await one();
      }
    };
    // Before the faults: whatever they hit, some calls pass.
    await until(async () => {
      await one();
      return passed > 0;
    });
    await Promise.all(Array.from({ length: WORKERS }, worker));
    t.strictSame(wrong, []);
    t.comment(`${passed} of ${CALLS} passed`);
    t.equal(await gateway.metric('sallyport_requests_in_flight'), 0);
  },
);
