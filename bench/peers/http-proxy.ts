/** The baseline: http-proxy as its documentation shows it, with a keep-alive agent. */
import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';

const [port = '0', upstreamPort = '0'] = process.argv.slice(2);
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${upstreamPort}`,
  agent: new Agent({ keepAlive: true, maxSockets: 128 }),
});
createServer((request, response) => proxy.web(request, response)).listen(Number(port), '127.0.0.1');
