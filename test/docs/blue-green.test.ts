/** docs/how-to/blue-green.md: its configuration, and its switch there and back while requests come. */
import t from 'tap';
import { parse } from 'yaml';
import { parseConfiguration } from '../../src/config/load.ts';
import { send } from '../support/client.ts';
import { fileIn, without, withReplacements } from '../support/document.ts';
import { loginIssuer, startGateway, until, withTestPorts } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const blueServes = fileIn('how-to/blue-green.md', 'sallyport.yaml').text;
const greenServes = blueServes
  .replace('orders-blue, weight: 1', 'orders-blue, weight: 0')
  .replace('orders-green, weight: 0', 'orders-green, weight: 1');

t.test(
  'all requests change to the other version and back, and none fails; testers have it before',
  async (t) => {
    t.not(greenServes, blueServes);
    const versions = { blue: await startUpstream(t), green: await startUpstream(t) };
    const configuration = (text: string): Record<string, unknown> => {
      const targets = {
        'http://127.0.0.1:3001': versions.blue.url,
        'http://127.0.0.1:3002': versions.green.url,
      };
      const page = without(parse(withReplacements(text, targets)), 'listeners', 'admin', 'revocation');
      return { ...page, issuers: { login: loginIssuer(key) } };
    };
    const gateway = await startGateway(t, configuration(blueServes));
    const { folder, file } = gateway.loaded;
    const reload = (text: string): Promise<void> => {
      const document = JSON.stringify(withTestPorts(configuration(text)));
      return gateway.instance.reload({
        ...gateway.loaded,
        configuration: parseConfiguration(document, file, folder, {}),
      });
    };
    const paths = ({ seen }: typeof versions.blue): string[] =>
      seen.map(({ url }) => url).filter((url) => url !== '/healthz');
    const statuses: number[] = [];
    let isLoaded = true;
    const load = async (): Promise<void> => {
      while (isLoaded) statuses.push((await send(gateway.url, '/orders', { token: mint(key) })).status);
    };
    const running = [load(), load()];
    await until(() => statuses.length > 20);
    t.strictSame(paths(versions.green), [], 'blue serves');
    const tester = mint(key, claimsOf({ beta: true }));
    await send(gateway.url, '/orders/tester', { token: tester });
    t.strictSame(paths(versions.green), ['/orders/tester']);
    await until(() => versions.green.seen.some(({ url }) => url === '/healthz'));

    await reload(greenServes);
    const answered = statuses.length;
    await until(() => statuses.length > answered + 20);
    const [blue, green] = [paths(versions.blue).length, paths(versions.green).length];
    await until(() => paths(versions.green).length > green + 20);
    t.equal(paths(versions.blue).length, blue, 'green serves');

    await reload(blueServes);
    await until(() => paths(versions.blue).length > blue + 20);
    isLoaded = false;
    await Promise.all(running);
    t.strictSame(
      statuses.filter((status) => status !== 200),
      [],
      `${statuses.length} requests`,
    );
  },
);
