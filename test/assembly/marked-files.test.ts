/** Files that an editor of Windows has written begin with a byte order mark. */
import t from 'tap';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../src/assembly/json-file.ts';
import { proofSigner } from '../../src/assembly/proof-signer.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { temporaryFolder } from '../support/process.ts';

const MARK = '\uFEFF';

t.test('a byte order mark in front of a JWK Set or a key is no part of it', async (t) => {
  const folder = temporaryFolder(t);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const jwks = join(folder, 'jwks.json');
  writeFileSync(jwks, `${MARK}${JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] })}\r\n`);
  t.match(parseJson(jwks, 'keys'), { keys: [{ kty: 'OKP' }] });
  writeFileSync(
    join(folder, 'proof.pem'),
    `${MARK}${String(privateKey.export({ format: 'pem', type: 'pkcs8' }))}`,
    {
      mode: 0o600,
    },
  );
  const file = join(folder, 'sallyport.yaml');
  writeFileSync(
    file,
    `${MARK}proof: { key_file: proof.pem }
routes: [{ name: a, match: {}, upstream: u, auth: { mode: none } }]
upstreams: { u: { targets: [http://u:1] } }
`,
  );
  t.ok(proofSigner(loadConfiguration(file, {}), undefined));
});
