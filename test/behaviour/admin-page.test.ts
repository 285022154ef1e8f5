/** The admin page in a real browser: what an operator does when a phone was stolen. Rules A1 to A3, A5. */
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const SCREENSHOTS = fileURLToPath(new URL('../output/', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const iatOf = (ageSeconds: number): number => Math.floor(Date.now() / 1000) - ageSeconds;
const tokenOf = (sub: string, sid: string, ageSeconds = 60): string =>
  mint(key, claimsOf({ sub, sid, device_id: `${sid}-device`, iat: iatOf(ageSeconds) }));

async function startScene(t: Test): Promise<TestGateway> {
  const upstream = await startUpstream(t);
  return startGateway(t, {
    name: 'edge',
    issuers: { login: loginIssuer(key) },
    revocation: { claims: ['device_id'] },
    routes: [
      {
        name: 'orders',
        match: { path_prefix: '/orders' },
        upstream: 'shop',
        auth: { scopes: ['orders:read'] },
      },
      { name: 'bakery', match: { hosts: ['*.example.com'] }, upstream: 'shop', auth: { mode: 'optional' } },
      { name: 'public', match: {}, upstream: 'shop', auth: { mode: 'none' } },
    ],
    upstreams: { shop: { targets: [upstream.url] } },
  });
}

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

/** What the page must never do, noted as it happens. */
function watch(page: Page, gateway: TestGateway): string[] {
  const wrong: string[] = [];
  page.on('console', (message) => {
    // A refusal of the API is logged by the browser itself.
    if (message.type() === 'error' && !/status of 4\d\d|ERR_CONNECTION/.test(message.text()))
      wrong.push(message.text());
  });
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== gateway.adminUrl) wrong.push(`it asked ${request.url()}`);
    if (request.url().includes(ADMIN_TOKEN)) wrong.push('the token is in a URL');
  });
  return wrong;
}

async function signIn(page: Page, gateway: TestGateway): Promise<void> {
  await page.goto(gateway.adminUrl);
  await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Health' }).waitFor();
}

/** Fills the form and says yes. */
async function revoke(page: Page, what: RegExp, value: string, reason: string): Promise<string> {
  const option = await page.getByLabel('What').locator('option', { hasText: what }).getAttribute('value');
  await page.getByLabel('What').selectOption(option);
  await page.locator('#value').fill(value);
  await page.getByLabel('Reason').fill(reason);
  await page.getByRole('button', { name: 'Preview' }).click();
  const dialog = page.getByRole('dialog', { name: 'Revoke this?' });
  await dialog.waitFor();
  const preview = await dialog.innerText();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await dialog.waitFor({ state: 'hidden' });
  return preview;
}

t.test('the admin page', { skip: noBrowser, timeout: 900_000 }, async (t) => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const browser = await startBrowser(t);
  const gateway = await startScene(t);
  const status = async (token: string): Promise<number> =>
    (await send(gateway.url, '/orders', { token })).status;

  const open = async (t: Test, options: BrowserContextOptions = {}): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
    // A busy machine may take as long as the file may.
    context.setDefaultTimeout(0);
    t.teardown(() => context.close());
    return context.newPage();
  };

  t.test('a wrong token is told so in words; the right one is kept nowhere', async (t) => {
    const page = await open(t);
    const wrong = watch(page, gateway);
    await page.goto(gateway.adminUrl);
    await page.getByLabel('Admin token').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This is not an admin token of this gateway.').waitFor();
    await page.screenshot({ path: `${SCREENSHOTS}sign-in.png` });
    await signIn(page, gateway);
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML, document.querySelector("#admin-token").value])',
    );
    t.notMatch(String(kept), ADMIN_TOKEN);
    await page.reload();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    t.strictSame(wrong, []);
  });

  t.test('the lost phone: revoked, refused; the laptop and the new login pass; undone', async (t) => {
    const [phone, laptop] = [tokenOf('alice', 'phone-1'), tokenOf('alice', 'laptop-1')];
    t.strictSame([await status(phone), await status(laptop)], [200, 200]);
    const page = await open(t);
    const wrong = watch(page, gateway);
    await signIn(page, gateway);
    const preview = await revoke(page, /lost phone/, 'phone-1', 'stolen in the tram');
    t.match(preview, /session phone-1/);
    t.match(preview, ISSUER);
    await page
      .getByText(
        /^Revoked\. This gateway refuses it since [\d.]+ m?s after you asked; no other gateway hears/,
      )
      .waitFor();
    await page.getByText('known to this gateway only, until it restarts').waitFor();
    t.strictSame([await status(phone), await status(laptop)], [401, 200]);
    t.equal(await status(tokenOf('alice', 'phone-2', 0)), 200, 'the new login');
    const entry = page.getByRole('listitem').filter({ hasText: 'session phone-1' });
    t.match(await entry.innerText(), /by admin .*: stolen in the tram/);
    await page.screenshot({ path: `${SCREENSHOTS}revoked.png`, fullPage: true });

    await entry.getByRole('button', { name: 'Undo: session phone-1' }).click();
    const dialog = page.getByRole('dialog', { name: 'Undo this revocation?' });
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    t.equal(await status(phone), 401, 'nothing without a yes');
    await entry.getByRole('button', { name: 'Undo: session phone-1' }).click();
    await dialog.getByRole('button', { name: 'Undo' }).click();
    await dialog.waitFor({ state: 'hidden' });
    t.equal(await status(phone), 200);
    t.equal(await entry.count(), 0);
    t.strictSame(wrong, []);
  });

  t.test('a pasted token, a subject, a device, an application', async (t) => {
    const page = await open(t);
    const wrong = watch(page, gateway);
    await signIn(page, gateway);
    const [one, other] = [tokenOf('bob', 's1'), tokenOf('bob', 's2')];
    const preview = await revoke(page, /^One token$/, one, '');
    t.match(preview, /Subject\s+bob/, 'what the token says of itself');
    t.strictSame([await status(one), await status(other)], [401, 200]);
    t.equal(await page.locator('#value').inputValue(), '', 'it is not left lying around');
    await revoke(page, /device_id/, 's2-device', 'lost');
    t.equal(await status(other), 401);
    const carol = tokenOf('carol', 's3');
    await revoke(page, /of a person/, 'carol', '');
    t.equal(await status(carol), 401);
    await page.getByLabel('Find by subject').fill('carol');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByText('1 entry').waitFor();
    await page.getByLabel('Find by subject').fill('nobody');
    await page.keyboard.press('Enter');
    await page.getByText('Nothing is revoked for the subject “nobody”.').waitFor();
    t.strictSame(wrong, []);
  });

  t.test('what is refused is told in words, and said again', async (t) => {
    const page = await open(t);
    await signIn(page, gateway);
    await page.getByLabel('What').selectOption({ label: 'One token' });
    await page.locator('#value').fill('not-a-token');
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByText(/no configured issuer vouches for it/).waitFor();
    await revoke(page, /of a person/, 'dora', 'first');
    const again = await revoke(page, /of a person/, 'dora', 'second');
    t.match(again, /was revoked before, by admin/);
  });

  t.test('a long list comes in pages', async (t) => {
    for (let index = 0; index < 60; index++)
      await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: `many-${index}` });
    const page = await open(t);
    await signIn(page, gateway);
    for (const shown of [20, 40, 60]) {
      await page.getByText(`${shown} entries, and more`).waitFor();
      await page.getByRole('button', { name: 'Show more' }).click();
    }
    await page.getByText(/^6\d entries$/).waitFor();
    t.ok(await page.getByRole('button', { name: 'Show more' }).isHidden());
  });

  t.test('live pictures, at both widths, light and dark, for all eyes', async (t) => {
    // axe looks into styles in ways that the page's own policy forbids.
    const page = await open(t, { bypassCSP: true });
    await signIn(page, gateway);
    await page.getByText('Watching …').first().waitFor();
    for (let index = 0; index < 30; index++)
      await status(index % 3 === 0 ? 'bad' : tokenOf('alice', 'phone-2', 0));
    await page.getByRole('img', { name: /^Decisions a second, now: allowed [\d.,]+, malformed/ }).waitFor();
    await page.getByRole('img', { name: /^Time of a request, now: median/ }).waitFor();
    await page.getByText('orders: malformed').waitFor();
    await page.evaluate(AXE);
    for (const width of [1440, 360]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize({ width, height: 1000 });
        await page.emulateMedia({ colorScheme });
        const { violations } = await page.evaluate<AxeResult>('axe.run()');
        t.strictSame(
          violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
          [],
          `${width} ${colorScheme}`,
        );
        const overflow = await page.evaluate('document.scrollingElement.scrollWidth > innerWidth');
        t.notOk(overflow, `nothing sticks out at ${width}`);
        await page.screenshot({ path: `${SCREENSHOTS}${width}-${colorScheme}.png`, fullPage: true });
      }
    }
    await page
      .getByRole('button', { name: /^Undo: / })
      .first()
      .click();
    await page.getByRole('dialog').waitFor();
    const { violations } = await page.evaluate<AxeResult>('axe.run()');
    t.strictSame(
      violations.map(({ id }) => id),
      [],
      'with a dialog',
    );
  });

  t.test('by keyboard alone', async (t) => {
    const page = await open(t);
    await page.goto(gateway.adminUrl);
    await page.keyboard.press('Tab');
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content');
    await page.getByLabel('Admin token').focus();
    await page.keyboard.type(ADMIN_TOKEN);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    await page.getByLabel('What').focus();
    await page.keyboard.press('ArrowDown');
    await page.locator('#value').focus();
    await page.keyboard.type('erin');
    for (let step = 0; step < 12; step++) {
      if ((await page.evaluate('document.activeElement.textContent')) === 'Preview') break;
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Revoke this?' }).waitFor();
    for (let step = 0; step < 4; step++) {
      if ((await page.evaluate('document.activeElement.textContent')) === 'Revoke') break;
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.getByRole('listitem').filter({ hasText: 'subject erin' }).waitFor();
    t.equal(await status(tokenOf('erin', 's')), 401);
  });

  t.test('a gateway that has gone is told in words', async (t) => {
    const other = await startScene(t);
    const page = await open(t);
    await signIn(page, other);
    await other.stop();
    await page.getByText('The gateway does not respond.').waitFor();
  });
});

t.test('A2 A3 who gets the page, and what it may do', async (t) => {
  const gateway = await startScene(t);
  const html = await fetch(`${gateway.adminUrl}/`);
  t.equal(html.status, 200);
  const policy = html.headers.get('content-security-policy') ?? '';
  t.match(policy, /default-src 'none'/);
  t.match(policy, /script-src 'self'(?:;|$)/);
  t.notMatch(policy, /unsafe|\*|data:/);
  t.equal(html.headers.get('x-content-type-options'), 'nosniff');
  const text = await html.text();
  t.notMatch(
    text,
    /<script(?![^>]*src=)|<style|style=|\son\w+=|https?:/,
    'no inline script or style, nothing from elsewhere',
  );
  for (const [, file] of text.matchAll(/(?:src|href)="(page\/[^"]+)"/g))
    t.equal((await fetch(`${gateway.adminUrl}/${file}`)).status, 200, String(file));
  for (const path of [
    '/page/',
    '/page/../server.ts',
    '/page/%2e%2e/server.ts',
    '/page/index.html',
    '/page/tsconfig.json',
  ])
    t.equal((await send(gateway.adminUrl, path)).status, 404, path);
  t.equal((await send(gateway.adminUrl, '//')).status, 400);
  t.equal((await send(gateway.adminUrl, '/', { headers: ['host', 'evil.example'] })).status, 403);
  t.equal((await send(gateway.adminUrl, '/page/main.js', { headers: ['host', 'evil.example'] })).status, 403);
  t.equal((await send(gateway.adminUrl, '/', { method: 'POST', body: 'a=b' })).status, 405);
  const off = await startGateway(t, {
    admin: { token: undefined },
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  });
  const none = await fetch(`${off.adminUrl}/`);
  t.equal(none.status, 404, 'without an admin token there is no page');
  t.match(await none.text(), /admin\.token_file/, 'and the response names the key that is missing');
});

t.test(
  'A1 ten thousand wrong admin tokens: refused, throttled, logged, and no other address is kept out',
  async (t) => {
    const TRIES = 10_000;
    const gateway = await startScene(t);
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    t.teardown(() => agent.destroy());
    const statuses = new Map<number, number>();
    let left = TRIES;
    const tryOn = async (): Promise<void> => {
      while (left-- > 0) {
        const request = httpRequest(`${gateway.adminUrl}/v1/status`, {
          agent,
          headers: { authorization: `Bearer wrong-${left}` },
        });
        request.end();
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        response.resume();
        await once(response, 'end');
        const status = response.statusCode ?? 0;
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 20 }, tryOn));
    t.strictSame([...statuses.keys()].sort(), [401, 429]);
    t.ok((statuses.get(429) ?? 0) > TRIES - 100, 'nearly all of them were not even looked at');
    const warned = gateway.log.filter(({ msg }) => msg === 'a wrong admin token was presented');
    t.equal(warned.length, statuses.get(401), 'each that was looked at is in the log');
    t.notMatch(JSON.stringify(gateway.log), /wrong-\d/);
    // Another address is not throttled for it.
    const other = httpRequest(`${gateway.adminUrl}/v1/status`, {
      localAddress: '127.0.0.2',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    other.end();
    const [response] = (await once(other, 'response')) as [IncomingMessage];
    response.resume();
    t.equal(response.statusCode, 200);
  },
);
