/** The Dockerfile and docker-compose.yml by their text. test/providers/compose.test.ts starts what they start. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CLIENT } from '../../demo/issuer.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import {
  commandOf,
  composeFile,
  copyOf,
  dockerfileStages,
  isIgnored,
  lastOf,
  ROOT,
  stageNamed,
} from '../support/dockerfile.ts';
import { temporaryFolder } from '../support/process.ts';

const tracked = spawnSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).stdout.split('\n');
const stages = dockerfileStages();
const { services, volumes } = composeFile();
const seconds = (duration: string): number => {
  const [, number, unit] = /^(\d+)(s|m)$/.exec(duration) ?? [];
  return Number(number) * (unit === 'm' ? 60 : 1);
};

t.test('what the Dockerfile copies is in the repository, and .dockerignore lets it in', async (t) => {
  const copies = stages.flatMap(({ instructions }) =>
    instructions.filter(({ keyword }) => keyword === 'COPY').map(({ text }) => copyOf(text)),
  );
  const sources = copies.filter(({ from }) => from === undefined).flatMap((copy) => copy.sources);
  t.ok(sources.length > 8);
  for (const source of sources) {
    t.ok(
      tracked.some((file) => file === source || file.startsWith(`${source}/`)),
      `${source} is there`,
    );
    t.notOk(isIgnored(source), `${source} is sent to the builder`);
  }
  for (const { from } of copies)
    t.ok(from === undefined || stages.some(({ name }) => name === from), `a stage ${from}`);
  for (const file of ['.git', '.git/HEAD', 'node_modules', 'test/docs.test.ts', 'admin-token', '.env'])
    t.ok(isIgnored(file), `${file} is not`);
});

t.test('the images run as a numeric user that is not root, with Node and no shell', async (t) => {
  for (const name of ['gateway', 'demo']) {
    const stage = stageNamed(name);
    t.match(lastOf(stage, 'USER'), /^[1-9]\d{3,}:[1-9]\d{3,}$/);
    t.match(stage.base, /^gcr\.io\/distroless\/nodejs24-debian\d+:[\w-]+$/, 'a tag, and no digest');
    t.equal(commandOf(stage, 'ENTRYPOINT')[0], '/nodejs/bin/node');
    t.notOk(
      stage.instructions.some(({ keyword }) => keyword === 'RUN'),
      'nothing in it needs a shell',
    );
  }
  t.equal(stages.at(-1)?.name, 'gateway', 'it is what docker build builds');
});

t.test('the image says what it is, and how to ask for its health', async (t) => {
  const gateway = stageNamed('gateway');
  const labels = lastOf(gateway, 'LABEL') ?? '';
  for (const label of ['title', 'description', 'licenses', 'version', 'revision'])
    t.match(labels, new RegExp(`org\\.opencontainers\\.image\\.${label}="[^"]+"`), label);
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { license: string };
  t.match(labels, `org.opencontainers.image.licenses="${manifest.license}"`);
  const run = [...commandOf(gateway, 'ENTRYPOINT'), ...commandOf(gateway, 'CMD')];
  t.equal(run[2], 'run');
  const expected = run.map((word) => (word === 'run' ? 'healthcheck' : word));
  t.strictSame(commandOf(gateway, 'HEALTHCHECK'), expected, 'of the file that it runs with');
  const command = readFileSync(join(ROOT, 'src/cli/healthcheck.ts'), 'utf8');
  const waitsMs = Number(/TIMEOUT_MS = ([\d_]+)/.exec(command)?.[1]?.replace('_', ''));
  const [, timeout = ''] = /--timeout=(\S+)/.exec(lastOf(gateway, 'HEALTHCHECK') ?? '') ?? [];
  t.ok(waitsMs > 0 && waitsMs < seconds(timeout) * 1000, 'it says why before it is ended');
});

t.test('Compose opens ports on this machine alone, each once', async (t) => {
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  for (const port of ports) t.match(port, /^127\.0\.0\.1:\d+:\d+$/);
  const own = ports.map((port) => port.split(':')[1]);
  t.equal(new Set(own).size, own.length);
  t.strictSame(services['gateway']?.ports, ['127.0.0.1:8080:8080', '127.0.0.1:9090:9090']);
  t.strictSame(services['issuer']?.ports, ['127.0.0.1:4000:4000']);
});

t.test(
  'each service of Compose that stays has a health check, and one that ends is waited for',
  async (t) => {
    const waitedFor = Object.values(services).flatMap((service) =>
      Object.entries(service.depends_on ?? {}).filter(([, { condition }]) => /completed/.test(condition)),
    );
    const oneShot = [...waitedFor.map(([name]) => name), 'story'];
    for (const [name, { healthcheck, image }] of Object.entries(services)) {
      t.equal(healthcheck === undefined, oneShot.includes(name), name);
      if (image !== undefined) t.match(image, /^[\w/]+:v?\d+\.\d+/, `${image} has a version`);
    }
    t.strictSame(services['story']?.profiles, ['story'], '"up --wait" does not start it');
  },
);

t.test('what Compose mounts is in the repository, or a volume', async (t) => {
  for (const [name, service] of Object.entries(services))
    for (const [source = ''] of (service.volumes ?? []).map((volume) => volume.split(':')))
      t.ok(
        source.startsWith('./')
          ? tracked.some((file) => `./${file}` === source || `./${file}`.startsWith(`${source}/`))
          : source in volumes,
        `${source} of ${name}`,
      );
});

t.test('the gateway of Compose: locked down, with secrets of its own, and time to drain', async (t) => {
  const { gateway, secrets } = services;
  t.match(gateway, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  t.equal(gateway?.environment, undefined, 'no secret has a default');
  t.ok(gateway?.volumes?.includes('secrets:/secrets:ro'));
  t.equal(`${secrets?.command?.[2]}:${secrets?.command?.[2]}`, lastOf(stageNamed('gateway'), 'USER'));
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'secrets'));
  for (const name of ['admin-token', 'log-key'])
    writeFileSync(join(folder, 'secrets', name), 'a secret of the tests, long enough', { mode: 0o600 });
  const file = join(ROOT, 'deploy/demo/sallyport.yaml');
  const text = readFileSync(file, 'utf8').replaceAll('/secrets/', `${folder}/secrets/`);
  const configuration = parseConfiguration(text, file, folder, {});
  const { timeouts, issuers } = configuration;
  t.ok(seconds(gateway?.stop_grace_period ?? '') * 1000 > timeouts.drain_delay + timeouts.drain + 1_000);
  t.match(issuers['login_opaque']?.introspection, { client_id: CLIENT.id, client_secret: CLIENT.secret });
  t.strictSame(
    configurationWarnings({ configuration, folder, file }).filter(
      (warning) => !/plaintext beyond loopback|allow_http|om-nom|holds secrets/.test(warning),
    ),
    [],
    'what is risky about it is that it is a demo without TLS',
  );
  t.equal(statSync(file).isFile(), true);
});
