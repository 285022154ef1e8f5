/** What a log line tells of an error. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import t from 'tap';
import { describeError } from '../../src/telemetry/logger.ts';

t.test(
  'an error of OpenSSL is its code and its reason, without addresses, paths and line ends',
  async (t) => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
      0,
      '127.0.0.1',
    );
    t.teardown(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const [error] = (await once(
      connect({ port, host: '127.0.0.1' }).on('secureConnect', () => t.fail()),
      'error',
    ).catch((thrown: unknown) => [thrown])) as [unknown];
    t.equal(describeError(error), 'ERR_SSL_WRONG_VERSION_NUMBER: wrong version number');
  },
);

t.test('a certificate that is not trusted comes without a remedy of another program', async (t) => {
  const message =
    'self-signed certificate; if the root CA is installed locally, try running Node.js with --use-system-ca';
  const error = Object.assign(new Error(message), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  t.equal(describeError(error), 'DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate');
});
