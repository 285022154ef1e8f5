/** API keys on the admin page: made, shown once, rotated, revoked. Rules A3, X1. */
import t from 'tap';
import { send } from '../support/client.ts';
import { axeFindings } from '../support/admin-page.ts';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { ADMIN_TOKEN, startGateway } from '../support/gateway.ts';
import { INTEGRITY } from '../support/stored-keys.ts';
import { startUpstream } from '../support/upstream.ts';

t.test(
  'A3 X1 an operator creates, rotates and revokes a key, and sees it once',
  { skip: noBrowser },
  async (t) => {
    const upstream = await startUpstream(t);
    const gateway = await startGateway(t, {
      revocation: { store: 'memory:' },
      issuers: { partners: { api_keys: { store: true, integrity_key: INTEGRITY } } },
      routes: [{ name: 'r', match: {}, upstream: 'u', auth: { issuers: ['partners'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const browser = await startBrowser(t);
    const page = await browser.newPage({ viewport: { width: 1_200, height: 900 }, bypassCSP: false });
    const wrong: string[] = [];
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('console', (message) => {
      // The page asks with GET whether requests can be explained here.
      if (message.type() === 'error' && !message.text().includes('405')) wrong.push(message.text());
    });
    const statusOf = async (token: string): Promise<number> =>
      (await send(gateway.url, '/', { token })).status;
    await page.goto(gateway.adminUrl);
    await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'API keys' }).click();
    await page.locator('#key-subject').fill('billing');
    await page.locator('#key-scopes').fill('orders:read  orders:list');
    await page.locator('#key-note').fill('<b>nightly</b>');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    const shown = page.getByLabel('The key. It is shown once: keep it now.');
    await shown.waitFor();
    const key = await shown.inputValue();
    t.match(key, /^sp_live_\w{49}$/);
    t.equal(await statusOf(key), 200);
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.locator('#new-key-copied:not(:empty)').waitFor();
    const item = page.locator('#key-list > li');
    t.match(await item.innerText(), /billing[^]*orders:read orders:list[^]*<b>nightly<\/b>/);
    await page.getByRole('button', { name: /^Rotate: / }).click();
    await page.locator('#confirm-yes').click();
    await page.locator('#key-list > li').nth(1).waitFor();
    const second = await shown.inputValue();
    t.not(second, key);
    t.strictSame([await statusOf(key), await statusOf(second)], [200, 200]);
    for (const width of [1_200, 360]) {
      await page.setViewportSize({ width, height: 900 });
      const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      t.ok(Number(overflow) <= 0, `nothing is cut off at ${width}`);
      const pictures = process.env['SALLYPORT_LOOK'];
      if (pictures !== undefined)
        await page.locator('#keys').screenshot({ path: `${pictures}/keys-${width}.png` });
    }
    await page.getByRole('button', { name: 'I have kept it' }).click();
    t.notMatch(await page.content(), second);
    t.equal(await shown.inputValue(), '', 'the page has it no more');
    await page
      .getByRole('button', { name: /^Revoke: / })
      .first()
      .click();
    await page.locator('#confirm-reason').fill('leaked');
    await page.locator('#confirm-yes').click();
    await page.getByText(/revoked .* by admin: leaked/).waitFor();
    t.equal([await statusOf(key), await statusOf(second)].filter((status) => status === 401).length, 1);
    t.strictSame(wrong, []);
    const looking = await browser.newPage({ viewport: { width: 1_200, height: 900 }, bypassCSP: true });
    await looking.goto(gateway.adminUrl);
    await looking.getByLabel('Admin token').fill(ADMIN_TOKEN);
    await looking.getByRole('button', { name: 'Sign in' }).click();
    await looking.locator('#key-list > li').first().waitFor();
    t.strictSame(await axeFindings(looking, '#keys'), []);
  },
);
