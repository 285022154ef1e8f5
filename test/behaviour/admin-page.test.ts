/** The admin page in a real browser: what an operator does when a phone was stolen. Rules A1 to A3, A5. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { axeFindings, historyOf, MADE_UP, respondWith, takePictures } from '../support/admin-page.ts';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
/** How often the page looks. */
const LOOK_AGAIN_MS = 2_000;

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
  await page.getByRole('heading', { name: 'Is it well?' }).waitFor();
}

/** Fills the form and says yes. */
async function revoke(page: Page, what: RegExp, value: string, reason: string): Promise<string> {
  const option = await page.locator('#kind option', { hasText: what }).getAttribute('value');
  await page.locator('#kind').selectOption(option);
  await page.locator('#value').fill(value);
  await page.locator('#reason').fill(reason);
  await page.getByRole('button', { name: 'Preview' }).click();
  const dialog = page.getByRole('dialog', { name: 'Revoke this?' });
  await dialog.waitFor();
  const preview = await dialog.innerText();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await dialog.waitFor({ state: 'hidden' });
  return preview;
}

t.test('the admin page', { skip: noBrowser, timeout: 900_000 }, async (t) => {
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

    await entry.getByRole('button', { name: 'Undo: session phone-1' }).click();
    const dialog = page.getByRole('dialog', { name: 'Undo this revocation?' });
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    t.equal(await status(phone), 401, 'nothing without a yes');
    await entry.getByRole('button', { name: 'Undo: session phone-1' }).click();
    await dialog.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Say why: the audit log keeps it.').waitFor();
    t.equal(await status(phone), 401, 'nothing without a reason');
    await dialog.getByLabel('Why').fill('it lay under the seat');
    await dialog.getByRole('button', { name: 'Undo' }).click();
    await dialog.waitFor({ state: 'hidden' });
    t.equal(await status(phone), 200);
    const audit = gateway.log.findLast(({ msg }) => msg === 'audit')?.['audit'];
    t.match(audit, { action: 'undo', undo_reason: 'it lay under the seat' });
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
    await page.getByLabel('Value to find').fill('carol');
    await page.getByRole('button', { name: 'Find', exact: true }).click();
    await page.getByText('1 entry').waitFor();
    await page.getByLabel('Find by').selectOption('Reason');
    await page.getByLabel('Value to find').fill('Lost');
    await page.keyboard.press('Enter');
    await page.getByRole('listitem').filter({ hasText: 'device_id = s2-device' }).waitFor();
    await page.getByLabel('Value to find').fill('never given');
    await page.keyboard.press('Enter');
    await page.getByText('Nothing is revoked for reason “never given”.').waitFor();
    t.strictSame(wrong, []);
  });

  t.test('a pasted token fills in its session, its subject, its client, its device', async (t) => {
    const page = await open(t);
    const wrong = watch(page, gateway);
    await signIn(page, gateway);
    const token = mint(
      key,
      claimsOf({ sub: 'faye', sid: 'faye-1', azp: 'app', device_id: 'd-7', client_id: undefined }),
    );
    await page.locator('#value').fill(token);
    const choices = page.getByRole('group', { name: 'What the token is of' });
    t.strictSame(await choices.getByRole('button').allInnerTexts(), [
      'its session faye-1',
      'everything of faye',
      'everything of the application app',
      'everything with the device_id d-7',
    ]);
    await choices.getByRole('button', { name: 'its session faye-1' }).click();
    t.equal(await page.locator('#value').inputValue(), 'faye-1', 'the token has gone');
    await page.getByRole('button', { name: 'Preview', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Revoke this?' });
    t.match(await dialog.innerText(), /session faye-1/);
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await dialog.waitFor({ state: 'hidden' });
    t.equal(await status(token), 401);
    t.strictSame(wrong, []);
  });

  t.test('many at once: each line says what came of it, and what is listed is saved', async (t) => {
    const page = await open(t);
    const wrong = watch(page, gateway);
    await signIn(page, gateway);
    await page.getByText('Many at once').click();
    await page
      .getByLabel('List or CSV')
      .fill(
        'issuer,subject,session,reason\r\nlogin,gus,,"phished, twice"\nlogin,,hugo-1,\nelsewhere,ida,,\nlogin,jo,jo-1,\n',
      );
    await page.locator('#many-reason').fill('incident 12');
    await page.getByRole('button', { name: 'Preview all' }).click();
    await page.getByText('Checked: 2 of 4; 2 not').waitFor();
    t.equal(await status(tokenOf('gus', 'gus-1')), 200, 'a preview revokes nothing');
    await page.getByRole('button', { name: 'Revoke 2' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke 2 now' }).click();
    await page.getByText('Revoked: 2 of 2.').waitFor();
    const lines = await page.locator('#many-results li').allInnerTexts();
    t.match(lines[0], /✗ line 4: subject ida/);
    t.match(lines[1], /✗ line 5: session jo-1\s+Give exactly one/);
    t.match(lines[2], /✓ line 2: subject gus\s+revoked/);
    t.match(lines[3], /✓ line 3: session hugo-1\s+revoked/);
    t.strictSame(
      [
        await status(tokenOf('gus', 'gus-1')),
        await status(tokenOf('hugo', 'hugo-1')),
        await status(tokenOf('jo', 'jo-1')),
      ],
      [401, 401, 200],
    );
    await page.getByLabel('Find by').selectOption('Reason');
    await page.getByLabel('Value to find').fill('phished');
    await page.keyboard.press('Enter');
    await page.getByText('1 entry').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save as CSV' }).click(),
    ]);
    const saved = readFileSync(await download.path(), 'utf8').split('\r\n');
    t.equal(saved[0], 'id,issuer,target,issued_before,expires_at,created_at,created_by,reason');
    t.match(saved[1], /,subject gus,.*,"phished, twice"$/);
    t.strictSame(saved.slice(2), [''], 'what is listed, and no more');
    const csv = await page.evaluate(`(async () => {
      const { csvText, parseCsv } = await import('/page/csv.js');
      const wrong = [];
      for (const text of ['a,"b', 'a,"b"c']) try { wrong.push(parseCsv(text)); } catch { wrong.push('refused'); }
      return [csvText([['=1+1', 'a"b', -1, null]]), parseCsv('a, "b\\n""c" ,\\r\\n\\r\\nd'), ...wrong];
    })()`);
    t.strictSame(csv, [
      `'=1+1,"a""b",-1,\r\n`,
      [
        { line: 1, fields: ['a', 'b\n"c', ''] },
        { line: 4, fields: ['d'] },
      ],
      'refused',
      'refused',
    ]);
    t.strictSame(wrong, []);
  });

  t.test('what is refused is told in words, and said again', async (t) => {
    const page = await open(t);
    await signIn(page, gateway);
    await page.locator('#kind').selectOption({ label: 'One token' });
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

  t.test('charts have a past, a cursor, a legend, and text that can be read', async (t) => {
    const page = await open(t);
    const wrong = watch(page, gateway);
    // Sizes of text on the canvas, in pixels of the page.
    await page.addInitScript(`
      globalThis.textSizes = [];
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (...args) {
        textSizes.push(parseFloat(/[\\d.]+px/.exec(this.font)[0]) * this.canvas.clientWidth / this.canvas.width);
        return fillText.apply(this, args);
      };`);
    await respondWith(page, { '/v1/history': historyOf({ orders: [100, 0, 0], bakery: [50, 20, 0] }) });
    await signIn(page, gateway);
    const chart = page.getByRole('img', { name: /^Requests a second/ });
    await chart.waitFor();
    t.match(await chart.getAttribute('aria-label'), /: all 30, refused 4, failed 0$/);
    await page.getByLabel('Route', { exact: true }).first().selectOption('bakery');
    t.match(await chart.getAttribute('aria-label'), /: all 10, refused 4, failed 0$/);
    for (const width of [1440, 360]) {
      await page.evaluate('textSizes.length = 0');
      await page.setViewportSize({ width, height: 1000 });
      await until(() =>
        page.evaluate<boolean>(
          `textSizes.length > 0 && document.querySelector('.plot').clientWidth >= document.querySelector('.uplot').clientWidth`,
        ),
      );
      t.ok(Math.min(...(await page.evaluate<number[]>('textSizes'))) >= 11, `text at ${width}`);
    }
    await chart.hover();
    await page.getByText(/^at \d\d:\d\d:\d\d$/).waitFor();
    await page.mouse.move(0, 0);
    await chart.focus();
    await page.keyboard.press('ArrowLeft');
    await page.getByText(/^at \d\d:\d\d:\d\d$/).waitFor();
    const legend = page.locator('#requests-chart').getByRole('button', { name: /^refused/ });
    await legend.press('Enter');
    t.equal(await legend.getAttribute('aria-pressed'), 'false');
    t.strictSame(wrong, [], 'the policy of the page forbids nothing of it');
  });

  t.test(
    'each tile says how it is, in words and by colour, and what it was once the gateway is gone',
    async (t) => {
      const page = await open(t);
      const real = (await (await gateway.admin('GET', '/v1/status')).json()) as Record<string, unknown>;
      const api = await respondWith(page, {
        '/v1/history': historyOf({ orders: [100, 2, 0] }),
        '/v1/status': real,
      });
      await signIn(page, gateway);
      await page.getByText('✓ All is well at edge.').waitFor();
      const tileOf = async (title: string): Promise<[string, string]> => {
        const item = page.locator('.tile').filter({ has: page.getByText(title, { exact: true }) });
        return [(await item.getAttribute('class')) ?? '', await item.locator('.state').innerText()];
      };
      const revocation = real['revocation'] as object;
      const certificate = (state: string, days: number) => ({
        key: 'listeners[0].tls',
        state,
        expires_at: '',
        expires_in_seconds: days * 86_400,
      });
      const targets = (...healthy: boolean[]) => ({
        upstreams: [
          { name: 'shop', targets: healthy.map((healthy) => ({ url: 'http://127.0.0.1:1', healthy })) },
        ],
      });
      const keys = (available: boolean, age: number | null) => ({
        issuers: [{ name: 'login', issuer: ISSUER, keys_available: available, keys_age_seconds: age }],
      });
      const CASES: [title: string, Record<string, unknown>, level: string, state: string][] = [
        ['Gateway', {}, 'good', '✓ Ready'],
        ['Gateway', { ready: false }, 'bad', '✗ Not ready'],
        ['Revocation list', {}, 'good', '✓ Up to date'],
        ['Revocation list', { revocation: { ...revocation, view_age_seconds: 99 } }, 'bad', '✗ Stale'],
        ['Revocation list', { revocation: { ...revocation, view_age_seconds: null } }, 'bad', '✗ Stale'],
        ['Revocation store', {}, 'good', '✓ Connected'],
        [
          'Revocation store',
          { revocation: { ...revocation, store_connected: false } },
          'bad',
          '✗ Not connected',
        ],
        ['Issuer login', {}, 'good', '✓ Configured'],
        ['Keys of login', keys(true, 10), 'good', '✓ There'],
        ['Keys of login', keys(false, null), 'bad', '✗ Missing'],
        ['Upstream shop', targets(true, true), 'good', '✓ Serving'],
        ['Upstream shop', targets(true, false), 'warn', '! 1 of 2 out'],
        ['Upstream shop', targets(false, false), 'bad', '✗ All targets out'],
        ['Certificates', { certificates: [certificate('valid', 90)] }, 'good', '✓ Valid'],
        ['Certificates', { certificates: [certificate('expiring', 3)] }, 'warn', '! 1 of 1 to renew'],
        ['Certificates', { certificates: [certificate('expired', -3)] }, 'bad', '✗ 1 of 1 expired'],
      ];
      const SHARES: [counts: [number, number, number], level: string, state: string][] = [
        [[100, 0, 0], 'good', '✓ Well'],
        [[100, 30, 0], 'warn', '! Many are refused'],
        [[100, 95, 0], 'bad', '✗ Nearly all are refused'],
        [[100, 100, 0], 'bad', '✗ All are refused'],
        [[100, 0, 1], 'warn', '! Some fail'],
        [[100, 0, 10], 'bad', '✗ Many fail'],
        [[100, 0, 100], 'bad', '✗ All fail'],
      ];
      // All of them in the looks of one page: what it draws them by is what it draws a response by.
      const seen = await page.evaluate<[string, string][][]>(`(async () => {
      const { showHealth } = await import('/page/health.js');
      const looks = [];
      for (const change of ${JSON.stringify(CASES.map(([, change]) => change))}) {
        showHealth({ ...${JSON.stringify(real)}, ...change });
        looks.push([...document.querySelectorAll('#tiles .tile')].map((tile) => [
          tile.querySelector('.quiet').textContent, tile.className + ': ' + tile.querySelector('.state').textContent]));
      }
      return looks;
    })()`);
      for (const [index, [title, , level, state]] of CASES.entries())
        t.equal(Object.fromEntries(seen[index] ?? [])[title], `tile ${level}: ${state}`);
      const words = await page.evaluate<[string, string][]>(`(async () => {
      const { sharesOf } = await import('/page/history.js');
      return ${JSON.stringify(SHARES.map(([counts]) => historyOf({ orders: counts })))}.map((history) => {
        const [{ level, words }] = sharesOf(history);
        return [level, words];
      });
    })()`);
      t.strictSame(
        words,
        SHARES.map(([, level, state]) => [level, state.slice(2)]),
      );

      api['/v1/status'] = { ...real, ready: false };
      api['/v1/history'] = historyOf({ orders: [100, 100, 0] });
      await page.clock.fastForward(LOOK_AGAIN_MS);
      await page.getByText('✗ Look at route orders: all are refused; gateway: not ready.').waitFor();
      t.strictSame(await tileOf('Route orders'), ['tile bad', '✗ All are refused']);
      await page.route('**/v1/status', (route) => route.abort());
      await page.getByText(/^\? Not known: what is below is as of \d\d:\d\d:\d\d\.$/).waitFor();
      t.match(await tileOf('Gateway'), ['tile old', /^\? Not ready, as of \d\d:\d\d:\d\d$/]);
      t.match(await tileOf('Route orders'), ['tile old', /^\? All are refused, as of \d\d:\d\d:\d\d$/]);
      await page.unroute('**/v1/status');
      await respondWith(page, { '/v1/status': real });
      await page.clock.fastForward(LOOK_AGAIN_MS);
      await page.getByText('✗ Look at route orders: all are refused.').waitFor();
      t.ok(await page.locator('#connection-error').isHidden(), 'once it is back, all is of now');
    },
  );

  t.test('A5 why a user is refused: found by request id; explained; the token is forgotten', async (t) => {
    const page = await open(t);
    const wrong = watch(page, gateway);
    const api = await respondWith(page, MADE_UP);
    await signIn(page, gateway);
    await page.getByText('403 insufficient_scope on orders').waitFor();
    await page.getByText('It lacks: orders:write.').waitFor();
    await page.getByLabel('Request id').fill('req-9');
    const [asked] = await Promise.all([
      page.waitForRequest(/v1\/refusals\?.*request_id=req-9/),
      page.getByRole('button', { name: 'Find refusals' }).click(),
    ]);
    t.equal(new URL(asked.url()).searchParams.get('request_id'), 'req-9');
    const token = tokenOf('kim', 'k1');
    await page.locator('#explain-token').fill(token);
    t.equal(await page.locator('#explain-url').inputValue(), 'http://localhost/orders/');
    const [explained] = await Promise.all([
      page.waitForRequest((request) => request.url().endsWith('/v1/explain') && request.method() === 'POST'),
      page.getByRole('button', { name: 'Explain' }).click(),
    ]);
    t.strictSame(explained.postDataJSON(), { method: 'GET', url: 'http://localhost/orders/', token });
    await page.getByText('✗ refused: authorize').waitFor();
    t.equal(await page.locator('#explain-token').inputValue(), '');
    t.notMatch(String(await page.evaluate('document.documentElement.outerHTML')), token);
    api['/v1/refusals'] = { gateways: { asked: ['edge', 'edge-2'], silent: ['edge-2'] }, refusals: [] };
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Find refusals' }).click();
    await page
      .getByText('No such refusal is among the latest (1 of 2 gateways; no response from edge-2).')
      .waitFor();
    t.strictSame(wrong, []);
  });

  t.test('before it is ended: what was seen of it', async (t) => {
    const page = await open(t);
    const api = await respondWith(page, MADE_UP);
    await signIn(page, gateway);
    const ask = async (): Promise<string> => {
      await page.locator('#kind').selectOption({ index: 0 });
      await page.locator('#value').fill('lee-1');
      await page.getByRole('button', { name: 'Preview', exact: true }).click();
      const dialog = page.getByRole('dialog');
      await dialog.waitFor();
      const text = await dialog.innerText();
      await page.keyboard.press('Escape');
      return text;
    };
    t.match(
      await ask(),
      /Seen lately \(this gateway\):\s+Session with the hash 4kQ.*3 requests in the last hour.*203\.0\.113\.9/,
    );
    api['/v1/sessions/search'] = { gateways: { asked: ['edge'], silent: [] }, sessions: [] };
    t.match(await ask(), /No request with this session has been seen here \(this gateway\)/);
    api['/v1/sessions/search'] = 404;
    t.notMatch(await ask(), /seen/i, 'nothing is pretended');
  });

  t.test('history, refusals and sessions are those of the gateway itself', async (t) => {
    const token = tokenOf('nia', 'nia-1');
    const lacking = mint(key, claimsOf({ sub: 'nia', sid: 'nia-1', scope: 'other' }));
    t.equal(await status(token), 200);
    const headers = ['x-request-id', 'from-support-1'];
    t.equal((await send(gateway.url, '/orders', { token: lacking, headers })).status, 403);
    const page = await open(t);
    const wrong = watch(page, gateway);
    await signIn(page, gateway);
    await page.getByLabel('Request id').fill('from-support-1');
    await page.getByRole('button', { name: 'Find refusals' }).click();
    await page.getByText('1 found (this gateway)').waitFor();
    const found = page.locator('#refusals').getByRole('listitem');
    t.equal(await found.count(), 1);
    t.match(await found.innerText(), /403 insufficient_scope on orders[^]*It lacks: orders:read\./);
    await page.getByLabel('Request id').fill('of-no-request');
    await page.getByRole('button', { name: 'Find refusals' }).click();
    await page.getByText('No such refusal is among the latest (this gateway).').waitFor();
    // The step of now is in the history once it is over.
    const orders = page.locator('.tile').filter({ has: page.getByText('Route orders', { exact: true }) });
    await orders.filter({ hasText: /refused/i }).waitFor();
    await page.getByRole('img', { name: /^Requests a second/ }).waitFor();
    await page.locator('#kind').selectOption({ index: 0 });
    await page.locator('#value').fill('nia-1');
    await page.getByRole('button', { name: 'Preview', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    t.match(
      await dialog.innerText(),
      /Seen lately \(this gateway\):\s+Session with the hash [\w-]{16}, client web: 2 requests in the last hour/,
    );
    await page.keyboard.press('Escape');
    t.strictSame(wrong, []);
  });

  t.test('what the role cannot do is disabled, and the page says why', async (t) => {
    const page = await open(t);
    await respondWith(page, { ...MADE_UP, '/v1/session': { name: 'ann', role: 'read', expires_at: 4e9 } });
    await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'mo' });
    await signIn(page, gateway);
    await page
      .getByText(
        /^To revoke, and to undo, needs the role revoke\. You are signed in as ann with the role read/,
      )
      .waitFor();
    await page.getByText(/^To explain a request needs the role revoke/).waitFor();
    for (const id of ['value', 'many-text', 'explain-token'])
      t.ok(await page.locator(`#${id}`).isDisabled(), id);
    await page.getByRole('listitem').filter({ hasText: 'subject mo' }).waitFor();
    t.equal(await page.getByRole('button', { name: /^Undo/ }).count(), 0);
  });

  t.test('a part of the API that a gateway lacks is not on its page', async (t) => {
    const page = await open(t);
    const parts = ['/v1/history', '/v1/refusals', '/v1/explain', '/v1/sessions/search'];
    await respondWith(page, Object.fromEntries(parts.map((part) => [part, 404])));
    await signIn(page, gateway);
    await page.getByText('✓ All is well at edge.').waitFor();
    for (const id of ['shares-part', 'charts-part', 'refusals-part', 'explain-form'])
      t.ok(await page.locator(`#${id}`).isHidden(), id);
  });

  t.test('at both widths, light and dark, for all eyes', async (t) => {
    // axe looks into styles in ways that the page's own policy forbids.
    const page = await open(t, { bypassCSP: true });
    await page.clock.install();
    await respondWith(page, MADE_UP);
    await signIn(page, gateway);
    await page.getByRole('img', { name: /^Requests a second/ }).waitFor();
    await page.getByText('403 insufficient_scope on orders').waitFor();
    await page.getByText('Many at once').click();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('✗ refused: authorize').waitFor();
    for (const width of [1440, 360]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize({ width, height: 1000 });
        await page.emulateMedia({ colorScheme });
        t.strictSame(await axeFindings(page), [], `${width} ${colorScheme}`);
        const overflow = await page.evaluate('document.scrollingElement.scrollWidth > innerWidth');
        t.notOk(overflow, `nothing sticks out at ${width}`);
      }
    }
    await takePictures(page);
    // What else there is to see: tiles of the past, and a dialog.
    await page.route('**/v1/status', (route) => route.abort());
    await page.clock.fastForward(LOOK_AGAIN_MS);
    await page.getByText(/^\? Not known/).waitFor();
    t.strictSame(await axeFindings(page, '#well'), [], 'with tiles of the past');
    await page
      .getByRole('button', { name: /^Undo: / })
      .first()
      .click();
    await page.getByRole('dialog').waitFor();
    t.strictSame(await axeFindings(page, '#confirm'), [], 'with a dialog');
  });

  t.test('by keyboard alone', async (t) => {
    const page = await open(t);
    await page.goto(gateway.adminUrl);
    await page.keyboard.press('Tab');
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content');
    await page.getByLabel('Admin token').focus();
    await page.keyboard.type(ADMIN_TOKEN);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Is it well?' }).waitFor();
    await page.locator('#kind').focus();
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
    const CONNECTIONS = 20;
    const gateway = await startScene(t);
    const statuses = new Map<number, number>();
    // One request behind the other, as an attacker sends them who does not wait for responses.
    const tryOn = async (from: number): Promise<void> => {
      const socket = connect(Number(new URL(gateway.adminUrl).port), '127.0.0.1');
      t.teardown(() => socket.destroy());
      const tries = Array.from({ length: TRIES / CONNECTIONS }, (_, index) => from + index);
      const last = 'GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n';
      socket.end(
        tries
          .map(
            (index) =>
              `${index === tries.at(-1) ? last : last.replace('Connection: close\r\n', '')}Authorization: Bearer wrong-${index}\r\n\r\n`,
          )
          .join(''),
      );
      for (const [, status] of (await text(socket)).matchAll(/HTTP\/1\.1 (\d{3}) /g))
        statuses.set(Number(status), (statuses.get(Number(status)) ?? 0) + 1);
    };
    const starts = Array.from({ length: CONNECTIONS }, (_, index) => (index * TRIES) / CONNECTIONS);
    await Promise.all(starts.map(tryOn));
    t.equal(
      [...statuses.values()].reduce((sum, count) => sum + count, 0),
      TRIES,
    );
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
