/**
 * What a proof of possession (DPoP, RFC 9449) costs: a request with a known token and a new ES256 proof, beside one with an ES256 token
 * that was never seen, and one with a known token.
 */
import { generateKeyPairSync, hash, randomUUID, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Arena, LOAD_CORE, statusOf, type Running } from './arena.ts';
import { check } from './checks.ts';
import { sallyport } from './contestants/sallyport.ts';
import { CPU_SECTION } from './cpu.ts';
import { createToken, encoded, signatureOf } from './credentials.ts';
import { goal } from './goals.ts';
import { LoadOf } from './kinds.ts';
import { measure, type Tokens } from './measure.ts';
import { sallyportVersion } from './programs.ts';
import { figuresOf, median, type Effort, type Row } from './row.ts';
import { openWallet, type Wallet } from './wallet.ts';

/** More than one gateway can take: a proof that is sent twice is refused, which measure() takes for a failure. */
const PROOFS_A_SECOND = 12_000;
const MOST = 1.5;
const NEW_TOKEN = 'a new token, no proof';

const gateway = sallyport('Sallyport', {
  kinds: ['new-es256'],
  more: ({ port, credentials: { audience } }) => ({
    listeners: [{ host: '127.0.0.1', port, public_url: audience }],
    // The proofs of a round are made before it, and one key makes them all.
    dpop: { max_age: '10m', remembered: { entries: 10_000_000, per_key: 10_000_000 } },
    routes: [
      {
        name: 'orders',
        match: { path_prefix: '/' },
        upstream: 'orders',
        auth: { scopes: ['orders:read'], sender_constrained: 'optional' },
      },
    ],
  }),
});

/** The client: its key, and a token that is bound to it. */
class Holder {
  readonly #privateKey: KeyObject;
  readonly #jwk: object;
  readonly #token: string;
  readonly #url: string;

  constructor({ credentials }: Wallet) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
    this.#privateKey = privateKey;
    // In the order of RFC 7638, which the thumbprint is made of.
    this.#jwk = { crv, kty, x, y };
    const jkt = hash('sha256', JSON.stringify(this.#jwk), 'base64url');
    this.#token = createToken(credentials, { cnf: { jkt } });
    this.#url = `${credentials.audience}/orders`;
  }

  proof(): string {
    const head = encoded({ typ: 'dpop+jwt', alg: 'ES256', jwk: this.#jwk });
    const iat = Math.floor(Date.now() / 1000);
    const ath = hash('sha256', this.#token, 'base64url');
    const content = `${head}.${encoded({ jti: randomUUID(), htm: 'GET', htu: this.#url, iat, ath })}`;
    return `${content}.${signatureOf(content, this.#privateKey)}`;
  }

  /** @throws Error unless a proof passes once, and a request without one does not */
  async check({ port }: Running): Promise<void> {
    const Authorization = `DPoP ${this.#token}`;
    const DPoP = this.proof();
    const statuses = [
      await statusOf(port, '/orders', { Authorization }),
      await statusOf(port, '/orders', { Authorization, DPoP }),
      await statusOf(port, '/orders', { Authorization, DPoP }),
    ];
    if (statuses.join() !== '401,200,401')
      throw new Error(`without a proof, with one, and with the same one again: ${statuses.join()}`);
  }

  /** A wrk script that sends a proof of its own with each request. */
  writeScript(file: string, count: number): Tokens {
    const proofs = Array.from({ length: count }, () => this.proof());
    writeFileSync(`${file}.txt`, `${proofs.join('\n')}\n`);
    writeFileSync(
      file,
      `local proofs = io.lines("${file}.txt")
wrk.headers["Authorization"] = "DPoP ${this.#token}"
function request()
  wrk.headers["DPoP"] = proofs()
  return wrk.format()
end
`,
    );
    return { script: file };
  }
}

interface Case {
  readonly name: string;
  readonly running: Running;
  readonly tokens: (seconds: number) => Tokens;
  readonly sent: (requests: number) => void;
  readonly cpu: number[];
}

async function casesOf(arena: Arena, wallet: Wallet): Promise<readonly Case[]> {
  const load = new LoadOf('new-es256', wallet);
  const holder = new Holder(wallet);
  const token = createToken(wallet.credentials);
  const start = async (): Promise<Running> => {
    const running = await arena.start(gateway, 'new-es256', wallet);
    await check(arena, running, 'new-es256', wallet);
    await holder.check(running);
    return running;
  };
  const nothing = (): void => undefined;
  return [
    {
      name: NEW_TOKEN,
      running: await start(),
      tokens: () => load.next(),
      sent: (requests) => load.sent(requests),
      cpu: [],
    },
    {
      name: 'a known token, a new proof',
      running: await start(),
      tokens: (seconds) =>
        holder.writeScript(join(arena.folder, 'proofs.lua'), Math.ceil(seconds * PROOFS_A_SECOND)),
      sent: nothing,
      cpu: [],
    },
    {
      name: 'a known token, no proof',
      running: await start(),
      tokens: () => ({ token }),
      sent: nothing,
      cpu: [],
    },
  ];
}

export async function measureProofs(
  effort: Effort,
  wallet: Wallet = openWallet('ES256'),
): Promise<readonly Row[]> {
  return Arena.use(async (arena) => {
    const cases = await casesOf(arena, wallet);
    for (const each of cases) await turn(each, effort.warmUpSeconds);
    for (const { cpu } of cases) cpu.length = 0;
    for (let round = 0; round < effort.rounds; round++) {
      console.error(`dpop: round ${round + 1} of ${effort.rounds}`);
      for (const each of cases) await turn(each, effort.seconds);
    }
    const base = median(cases[0]?.cpu ?? []);
    return cases.map(({ name, cpu }): Row => {
      const value = median(cpu) / base;
      const isProof = name.endsWith('a new proof');
      return {
        section: CPU_SECTION,
        row: 'a proof of possession (DPoP), ES256',
        contestant: `Sallyport, ${name} (${sallyportVersion()})`,
        unit: 'µs',
        ...figuresOf(cpu),
        ratio: { to: NEW_TOKEN, value },
        ...(isProof && {
          goals: [goal({ base: NEW_TOKEN, atMost: MOST, wish: false, value, floor: undefined })],
        }),
      };
    });
  });
}

async function turn({ running, tokens, sent, cpu }: Case, seconds: number): Promise<void> {
  const { pid, port } = running;
  const measured = await measure(pid, port, tokens(seconds), seconds, LOAD_CORE);
  sent(measured.requests);
  cpu.push(measured.cpuMicrosPerRequest);
}
