/**
 * The demo (`npm run demo`): an authorization server, a cookie factory and the gateway, in one process. It
 * prints a ready curl for each step of the story; with `--script` it plays the story itself and checks every
 * response.
 */
import { CLIENT, OPAQUE_RESOURCE } from './issuer.ts';
import { playScript } from './script.ts';
import { startServers, type DemoServers } from './servers.ts';

/** Resolves to the exit code: 0, or 1 if a response of the script was not as expected. */
export async function playDemo(script: boolean): Promise<number> {
  const servers = await startServers(!script);
  try {
    if (script) return await playScript(servers);
    printStory(servers);
    const { promise, resolve } = Promise.withResolvers<void>();
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    await promise;
    return 0;
  } finally {
    await servers.close();
  }
}

function printStory({ issuer, factory, gateway, admin, adminToken }: DemoServers): void {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const login = (scope: string, more = ''): string =>
    `curl -s ${issuer.url}/token -u ${CLIENT.id}:${CLIENT.secret} -d grant_type=client_credentials ${more}-d 'scope=${scope}' | node -pe 'JSON.parse(fs.readFileSync(0)).access_token'`;
  say(`
Sallyport demo: an authorization server at ${issuer.url}, a cookie factory at ${factory.url},
and the gateway in front of it at ${gateway}. Paste these into another terminal.

1. No token: 401, with the realm.
   curl -i ${gateway}/cookies

2. A login, and cookies. The factory prints who is calling, as the gateway told it.
   TOKEN=$(${login('cookies:read')})
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

3. Too little scope for the oven: 403.
   curl -i ${gateway}/oven -H "Authorization: Bearer $TOKEN"

4. The token has leaked: revoke it, and it is refused at once.
   curl -i ${admin}/v1/revocations -H 'Authorization: Bearer ${adminToken}' -H 'Content-Type: application/json' -d "{\\"token\\":\\"$TOKEN\\",\\"reason\\":\\"leaked\\"}"
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

5. A new login works again.
   TOKEN=$(${login('cookies:read')})
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

6. A plain opaque token of the factory's own, which its /validate knows.
   TOKEN=$(curl -s -X POST ${factory.url}/issue | node -pe 'JSON.parse(fs.readFileSync(0)).token')
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

7. An opaque token of the authorization server, which the gateway introspects (RFC 7662).
   TOKEN=$(${login('cookies:read', `-d resource=${OPAQUE_RESOURCE} `)})
   curl -i ${gateway}/jars -H "Authorization: Bearer $TOKEN"

Health, metrics and what is revoked:
   curl ${admin}/readyz?verbose
   curl -s ${admin}/metrics | grep sallyport_auth
   curl -s ${admin}/v1/revocations -H 'Authorization: Bearer ${adminToken}'

The admin page, with health, live charts and revocations: ${admin}/
   sign in with: ${adminToken}

Ctrl-C stops everything.`);
}
