/** A body that one upload leaves to the next. Rule G3. */
import { Readable } from 'node:stream';
import t from 'tap';
import { BodyUpload } from '../../src/upstream/body-upload.ts';
import { until } from '../support/gateway.ts';

const quiet = { uploading: () => undefined, uploaded: () => undefined, failed: () => undefined };

t.test('a body of which a refused stream took nothing goes out whole over HTTP/1.1', async (t) => {
  const body = new Readable({ read: () => undefined });
  const refused = new BodyUpload({ write: () => true, end: () => undefined }, body, undefined, quiet, []);
  t.strictSame(refused.reclaim(), []);
  let sent = '';
  let isWhole = false;
  const writer = {
    write: (chunk: Buffer) => ((sent += chunk.toString()), true),
    end: () => void (isWhole = true),
  };
  new BodyUpload(writer, body, undefined, quiet);
  body.push('hello');
  body.push(null);
  await until(() => isWhole);
  t.equal(sent, 'hello');
});
