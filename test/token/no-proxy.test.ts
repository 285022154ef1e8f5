/** NO_PROXY, as curl, Go and Python read it. */
import t from 'tap';
import { isLeftOut } from '../../src/token/no-proxy.ts';

t.test('names, networks and ports are left out as written', async (t) => {
  const cases: [noProxy: string, host: string, port: number, isLeft: boolean][] = [
    ['', 'a.example.com', 443, false],
    ['*', 'a.example.com', 443, true],
    ['example.com', 'example.com', 443, true],
    ['example.com', 'EXAMPLE.com.', 443, true],
    ['example.com', 'a.example.com', 443, true],
    ['example.com', 'notexample.com', 443, false],
    ['example.com', 'example.com.evil.test', 443, false],
    ['.example.com', 'a.example.com', 443, true],
    ['.svc,.cluster.local', 'kubernetes.default.svc', 443, true],
    ['*.example.com', 'a.example.com', 443, true],
    ['*.example.com', 'example.com', 443, false],
    ['example.com:8443', 'example.com', 8443, true],
    ['example.com:8443', 'example.com', 443, false],
    ['other.test  example.com', 'example.com', 443, true],
    ['10.0.0.0/8', '10.96.0.1', 443, true],
    ['10.0.0.0/8', '11.96.0.1', 443, false],
    ['10.0.0.0/8', '10.example.com', 443, false],
    ['10.0.0.1', '10.0.0.1', 443, true],
    ['10.0.0.1', '10.0.0.11', 443, false],
    ['fd00::/8', '[fd00::1]', 443, true],
    ['[fd00::1]:443', '[fd00::1]', 443, true],
    ['[fd00::1]:444', '[fd00::1]', 443, false],
    ['fd00::1', '[fd00:0::1]', 443, true],
    [',, ,', 'example.com', 443, false],
    ['.', 'example.com', 443, false],
    ['/', 'example.com', 443, false],
    ['10.0.0.0/99', '10.0.0.1', 443, false],
  ];
  for (const [noProxy, host, port, isLeft] of cases)
    t.equal(isLeftOut(noProxy, host, port), isLeft, `${noProxy} ${host}:${port}`);
});
