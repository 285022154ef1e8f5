/** Calls of gRPC that send little, or nothing, for long. Rule H19. */
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { responseOf, startHttp2 } from '../support/http2.ts';
import { startHttp2Server } from '../support/http2-upstream.ts';
import { ManualClock } from '../support/manual-clock.ts';

t.test(
  'H19 a small message a minute keeps an upload of gRPC open, and no other upload',
  { skip: noOpenssl },
  async (t) => {
    const clock = new ManualClock();
    let bytes = 0;
    const upstream = await startHttp2Server(t, (request, response) => {
      request.on('error', () => undefined);
      request.on('data', (chunk: Buffer) => (bytes += chunk.length));
      request.on('end', () => {
        if (!request.stream.closed) response.end(String(bytes));
      });
    });
    const { session, gateway } = await startHttp2(t, { upstreamUrl: upstream.url, clock });
    /** In steps in which the upstream can reply to a PING. */
    const pass = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second += 4) {
        clock.advance(4_000);
        await (await fetch(`${gateway.adminUrl}/livez`)).arrayBuffer();
      }
    };
    /** Minutes with a message each, then a silence. */
    const upload = async (type: string, minutes: number, silentSeconds: number) => {
      bytes = 0;
      const stream = session.request({ ':method': 'POST', ':path': '/open', 'content-type': type });
      const closed = responseOf(stream);
      for (let minute = 1; minute <= minutes && !stream.closed; minute++) {
        stream.write('hello');
        await until(() => bytes === 5 * minute || stream.closed);
        await pass(56);
      }
      await pass(silentSeconds);
      stream.end();
      return closed;
    };
    t.match(await upload('application/grpc', 4, 0), { status: 200, body: '20' });
    t.match(
      await upload('application/grpc+proto', 1, 130),
      { headers: { 'grpc-status': '13' } },
      'silence ends it',
    );
    t.match(await upload('text/plain', 3, 0), { code: 'request_timeout' });
  },
);
