/** The story of the demo, which is the README's story too: what to paste into another terminal, step by step. */
import { CLIENT, OPAQUE_RESOURCE } from './issuer.ts';
import type { DemoServers } from './servers.ts';

export interface Step {
  readonly title: string;
  readonly commands: readonly string[];
}

/** Where the parts of the demo are, as far as the commands name them. */
export type DemoPlaces = Pick<DemoServers, 'gateway' | 'admin'> & {
  readonly issuer: { readonly url: string };
  readonly factory: { readonly url: string };
};

const WITH_TOKEN = '-H "Authorization: Bearer $TOKEN"';
const AS_ADMIN = '-H "Authorization: Bearer $ADMIN"';
const memberOf = (name: string): string => `node -pe 'JSON.parse(fs.readFileSync(0)).${name}'`;

function login({ issuer }: DemoPlaces, more = ''): string {
  const form = `-d grant_type=client_credentials ${more}-d scope=cookies:read`;
  return `TOKEN=$(curl -s ${issuer.url}/token -u ${CLIENT.id}:${CLIENT.secret} ${form} | ${memberOf('access_token')})`;
}

/** The story of one token. */
export function storySteps(places: DemoPlaces): readonly Step[] {
  const { gateway, admin } = places;
  return [
    { title: 'No token: 401, with the realm.', commands: [`curl -i ${gateway}/cookies`] },
    {
      title: 'A login, and cookies. The service says what it has read.',
      commands: [login(places), `curl -s ${gateway}/cookies ${WITH_TOKEN}`],
    },
    { title: 'Too little scope for the oven: 403.', commands: [`curl -i ${gateway}/oven ${WITH_TOKEN}`] },
    {
      title: 'Why? Ask the gateway, or its log.',
      commands: [
        `echo "$TOKEN" | npx node src/main.ts explain GET ${gateway}/oven -c "$DEMO/demo.json" --online --token-file -`,
        `grep oven "$DEMO/access.log"`,
      ],
    },
    {
      title: 'The token has leaked: revoke it, and it is refused at once.',
      commands: [
        `curl -i ${admin}/v1/revocations ${AS_ADMIN} -H 'Content-Type: application/json' -d "{\\"token\\":\\"$TOKEN\\",\\"reason\\":\\"leaked\\"}"`,
        `curl -i ${gateway}/cookies ${WITH_TOKEN}`,
      ],
    },
    {
      title: 'The next login works.',
      commands: [login(places), `curl -s ${gateway}/cookies ${WITH_TOKEN}`],
    },
  ];
}

/** What the demo can show besides. */
export function furtherSteps(places: DemoPlaces): readonly Step[] {
  const { gateway, admin, factory } = places;
  return [
    {
      title: "A plain opaque token of the factory's own, which its /validate knows.",
      commands: [
        `TOKEN=$(curl -s -X POST ${factory.url}/issue | ${memberOf('token')})`,
        `curl -s ${gateway}/cookies ${WITH_TOKEN}`,
      ],
    },
    {
      title: 'An opaque token of the authorization server, which the gateway introspects (RFC 7662).',
      commands: [login(places, `-d resource=${OPAQUE_RESOURCE} `), `curl -s ${gateway}/jars ${WITH_TOKEN}`],
    },
    {
      title: 'Health, metrics and what is revoked.',
      commands: [
        `curl '${admin}/readyz?verbose'`,
        `curl -s ${admin}/metrics | grep sallyport_auth`,
        `curl -s ${admin}/v1/revocations ${AS_ADMIN}`,
      ],
    },
  ];
}
