/** `sallyport explain` with a DPoP proof and a client certificate, as people use it. That it tells the truth: test/explain/. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { sallyport, type Result } from '../support/command.ts';
import { loginIssuer } from '../support/gateway.ts';
import { sallyportProcess, temporaryFolder } from '../support/process.ts';
import { proofKey } from '../support/proofs.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';

const key = createKey('ES256');
const client = proofKey();
const folder = temporaryFolder(t);
const URL_OF_ORDERS = 'https://api.example.com/orders/7';

function fileOf(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
}

const configuration = fileOf(
  'c.json',
  JSON.stringify({
    issuers: { login: loginIssuer(key) },
    routes: [
      {
        name: 'orders',
        match: { hosts: ['api.example.com'] },
        upstream: 'u',
        auth: { sender_constrained: 'required' },
      },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  }),
);
const token = mint(key, claimsOf({ cnf: { jkt: client.thumbprint } }));
const tokenFile = fileOf('token', `${token}\n`);
const dpop = client.proof({ url: URL_OF_ORDERS, token });
const explain = (...args: string[]): Promise<Result> =>
  sallyport(['explain', 'GET', URL_OF_ORDERS, '-c', configuration, '--token-file', tokenFile, ...args]);

t.test('D13 without a proof explain says how to give one; with it the request passes', async (t) => {
  t.match(await explain(), {
    code: 3,
    out: /REFUSED +check_possession .*no DPoP proof: give one \(--dpop-file F\)/,
  });
  const passed = await explain('--dpop-file', fileOf('proof', `${dpop}\n`));
  t.match(passed, { code: 0, out: /ok +check_possession +its holder has proved to hold the key/ });
  t.notMatch(passed.out, dpop);
  const args = ['explain', 'GET', URL_OF_ORDERS, '-c', configuration, '--token-file', tokenFile];
  t.equal((await sallyportProcess([...args, '--dpop-file', '-'], { input: dpop })).code, 0);
});

t.test('D11 an old proof is told with its age, and passes at its time', async (t) => {
  const at = Math.floor(Date.now() / 1000) + 7_200;
  const file = fileOf('early', client.proof({ url: URL_OF_ORDERS, token, iat: at - 7_190 }));
  const late = await explain('--dpop-file', file, '--now', String(at - 7_000));
  t.match(late, { code: 3, out: /it was made .*; dpop\.max_age is 60 s/ });
  t.equal((await explain('--dpop-file', file, '--now', String(at - 7_180))).code, 0);
});

t.test(
  'M1 --client-cert-file gives the certificate that a token is bound to',
  { skip: noOpenssl },
  async (t) => {
    const authority = certificateAuthority(temporaryFolder(t));
    const [own, other] = [authority.issue('own').cert, authority.issue('other').cert];
    // By openssl, not by the code that is tested.
    const der = execFileSync('openssl', ['x509', '-in', own, '-outform', 'DER']);
    const digest = execFileSync('openssl', ['dgst', '-sha256', '-binary'], { input: der });
    const bound = mint(key, claimsOf({ cnf: { 'x5t#S256': digest.toString('base64url') } }));
    const file = fileOf('bound', bound);
    const asked = (...args: string[]): Promise<Result> =>
      sallyport(['explain', 'GET', URL_OF_ORDERS, '-c', configuration, '--token-file', file, ...args]);
    t.match(await asked(), { code: 3, out: /give it \(--client-cert-file F\)/ });
    t.match(await asked('--client-cert-file', other), { code: 3, out: /the request comes with [\w-]{43}/ });
    t.match(await asked('--client-cert-file', own), { code: 0, out: /its holder has the certificate/ });
    t.match(await asked('--client-cert-file', file), { code: 1, err: /holds no certificate/ });
    t.match(await asked('--client-cert-file', join(folder, 'none')), {
      code: 1,
      err: /cannot be read \(ENOENT\)/,
    });
  },
);

t.test('a proof never stands on the command line, and standard input holds one thing', async (t) => {
  t.match(await explain('-H', 'DPoP: x'), { code: 2, err: /give it by --dpop-file F/ });
  const both = [
    'explain',
    'GET',
    URL_OF_ORDERS,
    '-c',
    configuration,
    '--token-file',
    '-',
    '--dpop-file',
    '-',
  ];
  t.match(await sallyportProcess(both, { input: token }), {
    code: 2,
    err: /standard input holds one of the two/,
  });
  t.match(await explain('--dpop-file', fileOf('empty', '')), { code: 1, err: /the proof file .* is empty/ });
});

t.test('decode says what a token is bound to', async (t) => {
  const decoded = async (cnf: unknown): Promise<string> =>
    (await sallyport(['decode', '--token-file', fileOf('decoded', mint(key, claimsOf({ cnf })))])).out;
  t.match(
    await decoded({ jkt: client.thumbprint }),
    /"cnf": .* bound: it passes only with a DPoP proof by the key/,
  );
  t.match(
    await decoded({ 'x5t#S256': client.thumbprint }),
    /bound: it passes only with the client certificate/,
  );
  t.match(await decoded({ kid: 'x' }), /bound to what the gateway cannot check: it refuses the token/);
});
