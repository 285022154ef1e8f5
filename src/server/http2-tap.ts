/**
 * A connection whose bytes pass through JavaScript on their way to nghttp2, so that the gateway can read them. What it
 * costs: docs/decisions/http2-field-values.md.
 */
import { Duplex } from 'node:stream';

/** @param look gets every piece before the reader does; ends the connection by returning false */
export function tapped(socket: Duplex, look: (bytes: Buffer) => boolean): Duplex {
  const tap = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    writev: (chunks, done) =>
      void socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => void socket.end(() => done()),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    if (!look(chunk)) socket.destroy();
    else if (!tap.push(chunk)) socket.pause();
  });
  socket.on('end', () => tap.push(null));
  socket.on('error', (error) => tap.destroy(error));
  socket.on('close', () => tap.destroy());
  return tap;
}
