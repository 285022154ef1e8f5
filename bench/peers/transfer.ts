/**
 * Both ends of a large transfer, with as little work as Node can do: no HTTP parser, one buffer for all reads, one chunk for all writes.
 *
 *   node transfer.ts upstream PORT
 *   node transfer.ts down|up PORT BYTES TOKEN    prints the seconds that it took
 */
import { connect, createServer, type Socket } from 'node:net';

const CHUNK = Buffer.alloc(256 * 1024);
const HEAD_END = '\r\n\r\n';

/** Writes this many bytes at the reader's pace. */
function writeBytes(socket: Socket, bytes: number): void {
  let left = bytes;
  const write = (): void => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      left -= chunk.length;
      if (!socket.write(chunk)) {
        socket.once('drain', write);
        return;
      }
    }
  };
  write();
}

/** Takes bytes; calls back with each head, and when the bytes of the body that it announces have come. */
function reader(begin: (head: string) => void, end: (head: string) => void): (bytes: Buffer) => void {
  let [head, left] = ['', 0];
  return (bytes) => {
    let body = bytes.length;
    if (left === 0) {
      const text = head + bytes.toString('latin1');
      const at = text.indexOf(HEAD_END);
      head = text;
      if (at < 0) return;
      head = text.slice(0, at);
      body = text.length - at - HEAD_END.length;
      left = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      begin(head);
    }
    left -= body;
    if (left > 0) return;
    const whole = head;
    head = '';
    end(whole);
  };
}

function serve(port: number): void {
  createServer({ noDelay: true }, (socket) => {
    const respond = (head: string): void => {
      const bytes = Number(/^GET \/(\d+)/.exec(head)?.[1] ?? 0);
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`);
      writeBytes(socket, bytes);
    };
    socket.on('error', () => socket.destroy());
    socket.on(
      'data',
      reader(() => undefined, respond),
    );
  }).listen(port, '127.0.0.1');
}

function transfer(direction: string, port: number, bytes: number, token: string): void {
  const sinceMs = performance.now();
  let status = '';
  const read = reader(
    (head) => (status = head.split(' ')[1] ?? ''),
    () => {
      if (status !== '200') throw new Error(`the response was ${status}`);
      console.log(((performance.now() - sinceMs) / 1000).toFixed(4));
      socket.destroy();
    },
  );
  const buffer = Buffer.allocUnsafeSlow(256 * 1024);
  const callback = (length: number): boolean => {
    read(buffer.subarray(0, length));
    return true;
  };
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, onread: { buffer, callback } });
  const [line, sent] = direction === 'up' ? ['POST /up', bytes] : [`GET /${bytes}`, 0];
  const length = direction === 'up' ? `Content-Length: ${bytes}\r\n` : '';
  socket.write(`${line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n${length}\r\n`);
  writeBytes(socket, sent);
}

const [mode = '', port = '', bytes = '', token = ''] = process.argv.slice(2);
if (mode === 'upstream') serve(Number(port));
else transfer(mode, Number(port), Number(bytes), token);
