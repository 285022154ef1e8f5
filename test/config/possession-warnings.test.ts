/** What `check` warns of where a route accepts proofs of possession. */
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { loginIssuer } from '../support/gateway.ts';
import { createKey } from '../support/tokens.ts';

function warningsOf(route: Record<string, unknown>): string[] {
  const document = {
    issuers: { login: loginIssuer(createKey()) },
    routes: [{ name: 'r', match: { hosts: ['api.example.com'] }, upstream: 'u', ...route }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  };
  const configuration = parseConfiguration(JSON.stringify(document), 'f', '/tmp', {});
  return configurationWarnings({ configuration, folder: '/tmp', file: 'f' });
}

t.test('pages of other origins must be able to send a proof', async (t) => {
  const warns = (headers: string[] | undefined, constrained?: string): boolean =>
    warningsOf({
      cors: { origins: ['https://app.example.com'], headers },
      auth: { sender_constrained: constrained },
    }).some((text) => text.includes('routes: r accepts DPoP, but cors.headers has no dpop'));
  t.equal(warns(undefined, 'optional'), true);
  t.equal(warns(['authorization'], 'required'), true);
  t.equal(warns(['authorization', 'dpop'], 'required'), false);
  t.equal(warns(undefined), false, 'where no proofs are accepted');
});
