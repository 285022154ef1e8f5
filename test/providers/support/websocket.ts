/** A WebSocket through a proxy. */
import { WebSocket } from 'ws';

/**
 * Opens one on the route `/orders` of `api.example.com`, and sends `hello`.
 *
 * @returns the first message, or the status of the refusal, or the error
 */
export async function helloBy(port: number, headers: Record<string, string>): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/orders`, {
    headers: { host: 'api.example.com', ...headers },
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('open', () => socket.send('hello'));
  socket.on('message', (data: Buffer) => resolve(data.toString()));
  socket.on('unexpected-response', (_request, { statusCode }) => resolve(String(statusCode)));
  socket.on('error', (error) => resolve(error.message));
  const outcome = await promise;
  socket.terminate();
  return outcome;
}
