/** Plays the demo's story between the containers of docker-compose.yml, and checks each response: `story.ts TOKEN_FILE`. */
import { readFileSync } from 'node:fs';
import { playScript } from '../../demo/script.ts';

const FACTORY = 'http://cookie-factory:3000';
const [, , tokenFile = ''] = process.argv;
const { ADMIN_PAGE, GRAFANA } = process.env;
const adminToken = readFileSync(tokenFile, 'utf8').trim();

process.exitCode = await playScript({
  issuer: { url: 'http://issuer:4000' },
  factory: {
    url: FACTORY,
    served: async () => Number(await (await fetch(`${FACTORY}/served`)).text()),
  },
  gateway: 'http://gateway:8080',
  admin: 'http://gateway:9090',
  adminToken,
});
process.stdout.write(`
The admin page:  ${ADMIN_PAGE}   sign in with ${adminToken}
The dashboards:  ${GRAFANA}
`);
