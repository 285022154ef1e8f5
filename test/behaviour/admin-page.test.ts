/** The admin page in a real browser: what an operator does when a phone was stolen. Rules A1 to A3, A5. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import {
  axeFindings,
  fleetReport,
  gatewayOf,
  historyOf,
  MADE_UP,
  respondWith,
  takePictures,
  type Responses,
} from '../support/admin-page.ts';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { drawStates, goneText, SIGNS, tileStates } from '../support/tile-states.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
/** How often the page looks. */
const LOOK_AGAIN_MS = 2_000;
const DESK = { width: 1440, height: 1000 };
const PHONE = { width: 360, height: 1000 };

const iatOf = (ageSeconds: number): number => Math.floor(Date.now() / 1000) - ageSeconds;
const tokenOf = (sub: string, sid: string, ageSeconds = 60): string =>
  mint(key, claimsOf({ sub, sid, device_id: `${sid}-device`, iat: iatOf(ageSeconds) }));

async function startScene(t: Test, changes: { name?: string; store?: string } = {}): Promise<TestGateway> {
  const { name = 'edge', store = 'memory:' } = changes;
  const upstream = await startUpstream(t);
  return startGateway(t, {
    name,
    // The same on all gateways: they hash a session alike.
    log_key: 'of the tests of the page',
    issuers: { login: loginIssuer(key) },
    revocation: { claims: ['device_id'], store },
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
function watch(page: Page): string[] {
  const wrong: string[] = [];
  page.on('console', (message) => {
    // A refusal of the API is logged by the browser itself.
    if (message.type() === 'error' && !/status of 4\d\d|ERR_CONNECTION/.test(message.text()))
      wrong.push(message.text());
  });
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('request', (request) => {
    const isElsewhere = new URL(request.url()).origin !== new URL(page.url()).origin;
    if (isElsewhere && !request.isNavigationRequest()) wrong.push(`it asked ${request.url()}`);
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
  await page.getByRole('button', { name: 'Preview', exact: true }).click();
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

  const open = async (options: BrowserContextOptions = {}): Promise<Page> => {
    const context = await browser.newContext({ viewport: DESK, ...options });
    // A busy machine may take as long as the file may.
    context.setDefaultTimeout(0);
    const page = await context.newPage();
    await page.clock.install();
    return page;
  };
  // One for all tests, since a browser takes long to make one.
  const page = await open();
  const wrong = watch(page);
  /** The page as it is once it was opened: nothing is filled in, and the responses are the gateway's own but for these. */
  const visit = async (responses: Responses = {}, at = gateway): Promise<Responses> => {
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await page.setViewportSize(DESK);
    const made = await respondWith(page, responses);
    await signIn(page, at);
    wrong.length = 0;
    return made;
  };

  t.test('a wrong token is told so in words; the right one is kept nowhere', async (t) => {
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
    await visit();
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
    await visit();
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
    await visit();
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

  t.test('many at once: each line shows its result, and what matches a search is saved', async (t) => {
    await visit();
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
    t.equal(saved[0], 'id,issuer,kind,value,issued_before,expires_at,created_at,created_by,reason');
    t.match(saved[1], /,subject,gus,.*,"phished, twice"$/);
    t.strictSame(saved.slice(2), [''], 'what matches, and no more');
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
    await visit();
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
    await visit();
    for (const shown of [20, 40, 60]) {
      await page.getByText(`${shown} entries, and more`).waitFor();
      await page.getByRole('button', { name: 'Show more' }).click();
    }
    await page.getByText(/^6\d entries$/).waitFor();
    t.ok(await page.getByRole('button', { name: 'Show more' }).isHidden());
  });

  t.test('charts have a past, a cursor, a legend, and text that can be read', async (t) => {
    // Sizes of text on the canvas, in pixels of the page.
    await page.addInitScript(`
      globalThis.textSizes = [];
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (...args) {
        textSizes.push(parseFloat(/[\\d.]+px/.exec(this.font)[0]) * this.canvas.clientWidth / this.canvas.width);
        return fillText.apply(this, args);
      };`);
    await visit({ '/v1/history': historyOf({ orders: [100, 0, 0], bakery: [50, 20, 0] }) });
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

  t.test('the first line says what to look at; tiles turn as the gateways do', async (t) => {
    const real = (await (await gateway.admin('GET', '/v1/status')).json()) as Record<string, unknown>;
    const [a, b, c] = ['host-a', 'host-b', 'host-c'].map((host) => gatewayOf(host)) as [
      object,
      object,
      object,
    ];
    const api = await visit({
      '/v1/history': historyOf({ orders: [100, 2, 0] }),
      '/v1/status': real,
      '/v1/gateways': fleetReport(a, b, c),
    });
    const look = async (verdict: RegExp | string): Promise<void> => {
      await page.clock.fastForward(LOOK_AGAIN_MS);
      await page.getByText(verdict).waitFor();
    };
    const tileOf = async (title: string): Promise<[string, string]> => {
      const item = page.locator('.tile').filter({ has: page.locator(`.quiet:text-is("${title}")`) });
      return [(await item.getAttribute('class')) ?? '', await item.locator('.state').innerText()];
    };
    await page.getByText('✓ All is well at edge@host-a, and all 3 gateways are ready.').waitFor();
    t.strictSame(await page.locator('.fleet-scope').allInnerTexts(), [
      '(all 3 gateways)',
      '(all 3 gateways)',
    ]);

    t.strictSame(await tileOf('Canary'), ['tile good', '✓ 3 of 3 gateways refuse it']);

    api['/v1/status'] = { ...real, ready: false };
    api['/v1/history'] = historyOf({ orders: [100, 100, 0] });
    api['/v1/gateways'] = fleetReport(a, gatewayOf('host-b', { ready: false }), c);
    await look(
      '✗ Look at route orders: all are refused; gateway: not ready; gateway edge@host-b: not ready.',
    );
    t.strictSame(await tileOf('Route orders'), ['tile bad', '✗ All are refused']);
    t.strictSame(await tileOf('edge@host-b'), ['tile warn', '! Not ready']);
    await page.route('**/v1/status', (route) => route.abort('connectionrefused'));
    await look(/^\? Not known: what is below is as of \d\d:\d\d:\d\d\.$/);
    for (const [title, state] of [
      ['Gateway', 'Not ready'],
      ['Route orders', 'All are refused'],
      ['edge@host-b', 'Not ready'],
      ['Canary', '3 of 3 gateways refuse it'],
    ] as const)
      t.match(await tileOf(title), ['tile old', new RegExp(`^\\? ${state}, as of \\d\\d:\\d\\d:\\d\\d$`)]);
    await page.unroute('**/v1/status');
    await respondWith(page, { '/v1/status': real });
    await look('✗ Look at route orders: all are refused; gateway edge@host-b: not ready.');
    t.ok(await page.locator('#connection-error').isHidden(), 'once it is back, all is of now');

    api['/v1/history'] = historyOf({ orders: [100, 2, 0] });
    api['/v1/gateways'] = { ...fleetReport(a), complete: false };
    await look('✗ Look at gateways: others not known.');
    t.match(
      await tileOf('edge@host-c'),
      ['tile old', /^\? Ready, as of /],
      'as it was when it was last seen',
    );
    t.match(await tileOf('Canary'), ['tile old', /^\? 1 of 1 gateway refuses it, as of /]);
    t.strictSame(
      await page.locator('#gateways-part .fleet-scope').innerText(),
      '(this gateway; others are not known)',
    );

    const many = Array.from({ length: 40 }, (_, index) => gatewayOf(`host-${index}`, { live: index !== 33 }));
    api['/v1/gateways'] = fleetReport(a, ...many);
    await look('! Look at gateway edge@host-33: no heartbeat.');
    await page.getByText('17 more gateways are not shown.').waitFor();
    t.strictSame(
      await tileOf('edge@host-33'),
      ['tile warn', '! No heartbeat'],
      'what is wrong is shown first',
    );
    t.strictSame(wrong, []);
  });

  t.test('A5 why a user is refused: found by request id; explained; the token is forgotten', async (t) => {
    const row = { route: 'orders', reason: 'insufficient_scope', requests: 12, lack: 'orders:read' };
    const reported = [{ ...row, issuer: 'login', client_id: 'batch', last_seen: 1_800_000_000 }];
    const api = await visit({
      ...MADE_UP,
      '/v1/report-only': { gateways: { asked: ['e1'], silent: [], complete: true }, reported },
    });
    await page.getByText('403 insufficient_scope on orders').waitFor();
    await page.getByText('It lacks: orders:write.').waitFor();
    const passed = page.locator('#reported').getByRole('listitem');
    t.match(
      await passed.innerText(),
      /12 passed on orders: insufficient_scope[^]*client batch, lacks orders:read/,
    );
    await page.getByLabel('Request id').fill('req-9');
    const [asked] = await Promise.all([
      page.waitForRequest(/v1\/refusals\?.*request_id=req-9/),
      page.getByRole('button', { name: 'Find refusals' }).click(),
    ]);
    t.equal(new URL(asked.url()).searchParams.get('request_id'), 'req-9');
    const token = tokenOf('kim', 'k1');
    await page.locator('#explain-token').fill(token);
    await page.getByLabel('DPoP proof').fill('the proof');
    t.equal(await page.locator('#explain-url').inputValue(), 'http://localhost/orders/');
    const [explained] = await Promise.all([
      page.waitForRequest((request) => request.url().endsWith('/v1/explain') && request.method() === 'POST'),
      page.getByRole('button', { name: 'Explain' }).click(),
    ]);
    const question = { method: 'GET', url: 'http://localhost/orders/', token, dpop: 'the proof' };
    t.strictSame(explained.postDataJSON(), question);
    await page.getByText('✗ refused: authorize').waitFor();
    for (const field of ['#explain-token', '#explain-dpop'])
      t.equal(await page.locator(field).inputValue(), '', field);
    t.notMatch(String(await page.evaluate('document.documentElement.outerHTML')), token);
    const find = async (): Promise<URLSearchParams> => {
      const [asked] = await Promise.all([
        page.waitForRequest(/v1\/refusals/),
        page.getByRole('button', { name: 'Find refusals' }).click(),
      ]);
      return new URL(asked.url()).searchParams;
    };
    const status = page.locator('#refusals-status');
    for (const [gateways, words] of [
      [{ asked: ['e1', 'e2'], silent: ['e2'], complete: true }, '1 of 2 gateways; no response from e2'],
      [
        { asked: ['e1', 'e2'], silent: ['e1 worker 2'], complete: true },
        '1 of 2 gateways; no response from e1 worker 2',
      ],
      [
        { asked: ['e1'], silent: [], complete: false },
        'this gateway; others are not known, since the store is unavailable',
      ],
    ] as const) {
      api['/v1/refusals'] = { gateways, refusals: [] };
      await find();
      await status.getByText(`No such refusal is among the latest (${words}), as of`).waitFor();
      t.equal(await status.getAttribute('class'), 'notice warn');
    }
    const gateways = { asked: ['e1', 'e2', 'e3'], silent: [], complete: true };
    api['/v1/refusals'] = { ...Object(MADE_UP['/v1/refusals']), gateways };
    await page.getByLabel('Request id').fill('');
    t.notOk((await find()).has('gateways'), 'without a request id it is of this gateway');
    await page.getByLabel('Where', { exact: true }).selectOption('all gateways');
    t.equal((await find()).get('gateways'), 'all');
    await status.getByText(/^2 found \(all 3 gateways\), as of \d\d:\d\d:\d\d\.$/).waitFor();
    t.equal(await status.getAttribute('class'), 'hint');
    t.strictSame(wrong, []);
  });

  t.test('before it is ended: what was seen of it', async (t) => {
    const api = await visit(MADE_UP);
    let warnings: string[] = [];
    const ask = async (): Promise<string> => {
      await page.locator('#kind').selectOption({ index: 0 });
      await page.locator('#value').fill('lee-1');
      await page.getByRole('button', { name: 'Preview', exact: true }).click();
      const dialog = page.getByRole('dialog');
      await dialog.waitFor();
      const text = await dialog.innerText();
      warnings = await dialog.locator('.warn').allInnerTexts();
      await page.keyboard.press('Escape');
      return text;
    };
    t.match(
      await ask(),
      /Seen lately \(all 3 gateways\):\s+Session with the hash 4kQ.*3 requests in the last hour.*203\.0\.113\.9, at edge@host-a, edge@host-c/,
    );
    t.strictSame(warnings, []);
    const gateways = { asked: ['e1', 'e2'], silent: ['e2'], complete: true };
    api['/v1/sessions/search'] = { ...Object(MADE_UP['/v1/sessions/search']), gateways };
    await ask();
    t.strictSame(warnings, ['Seen lately (1 of 2 gateways; no response from e2):']);
    api['/v1/sessions/search'] = { gateways, sessions: [] };
    t.match(
      await ask(),
      /No request with this session has been seen \(1 of 2 gateways; no response from e2\)/,
    );
    api['/v1/sessions/search'] = 404;
    t.notMatch(await ask(), /\bseen\b/i, 'nothing is pretended');
  });

  t.test('history, refusals and sessions are those of the gateway itself', async (t) => {
    const token = tokenOf('nia', 'nia-1');
    const lacking = mint(key, claimsOf({ sub: 'nia', sid: 'nia-1', scope: 'other' }));
    t.equal(await status(token), 200);
    const headers = ['x-request-id', 'from-support-1'];
    t.equal((await send(gateway.url, '/orders', { token: lacking, headers })).status, 403);
    await visit();
    await page.getByLabel('Request id').fill('from-support-1');
    await page.getByRole('button', { name: 'Find refusals' }).click();
    await page.getByText('1 found (this gateway), as of').waitFor();
    const found = page.locator('#refusals').getByRole('listitem');
    t.equal(await found.count(), 1);
    t.match(await found.innerText(), /403 insufficient_scope on orders[^]*It lacks: orders:read\./);
    await page.getByLabel('Request id').fill('of-no-request');
    await page.getByRole('button', { name: 'Find refusals' }).click();
    await page.getByText('No such refusal is among the latest (this gateway), as of').waitFor();
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

  t.test('two gateways of one store: both are on the page, both look, both refuse', async (t) => {
    const store = `sqlite:${t.testdir()}/list.db`;
    const one = await startScene(t, { name: 'edge-1', store });
    const other = await startScene(t, { name: 'edge-2', store });
    const token = tokenOf('olga', 'olga-1');
    const statuses = (): Promise<number[]> =>
      Promise.all([one, other].map(async ({ url }) => (await send(url, '/orders', { token })).status));
    t.strictSame(await statuses(), [200, 200]);
    t.equal((await send(other.url, '/orders', { headers: ['x-request-id', 'at-the-other'] })).status, 401);
    await visit({}, one);
    const gateways = page.locator('#gateways .tile');
    await gateways.filter({ hasText: /^Gateways✓ All 2 ready/ }).waitFor();
    t.match(await gateways.nth(2).innerText(), /^edge-1@\S+ \(this one\)\s+✓ Ready/);
    t.match(await gateways.nth(3).innerText(), /^edge-2@\S+\s+✓ Ready[^]*heartbeat [\d.]+ m?s ago/);
    await page.getByLabel('Request id').fill('at-the-other');
    await page.getByRole('button', { name: 'Find refusals' }).click();
    await page.getByText('1 found (all 2 gateways), as of').waitFor();
    t.match(await page.locator('#refusals').innerText(), /401 missing on orders[^]* at edge-2@/);

    const preview = await revoke(page, /lost phone/, 'olga-1', 'left in the tram');
    t.match(
      preview,
      /Seen lately \(all 2 gateways\):[^]*2 requests in the last hour.* at edge-1@\S+, edge-2@/,
    );
    await page.getByText(/^Revoked\. 2 of 2 gateways refuse it, the slowest after [\d.]+ m?s\.$/).waitFor();
    t.strictSame(await statuses(), [401, 401]);

    const sent: { revocations: unknown[]; confirm?: boolean; dry_run?: boolean }[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/v1/revocations/bulk')) sent.push(request.postDataJSON());
    });
    const lines = Array.from({ length: 401 }, (_, index) => `login,pia-${index},`);
    lines[7] = `login,pia-7,${'long '.repeat(101)}`;
    await page.getByText('Many at once').click();
    await page.getByLabel('List or CSV').fill(['issuer,subject,reason', ...lines].join('\n'));
    await page.getByRole('button', { name: 'Preview all' }).click();
    await page.getByText('Checked: 400 of 401; 1 not').waitFor();
    t.match(await page.locator('#many-results li').first().innerText(), /✗ line 9: subject pia-7\s+.*500/);
    t.ok(sent.every(({ revocations, dry_run }) => dry_run && revocations.length <= 200));
    sent.length = 0;
    await page.getByRole('button', { name: 'Revoke 400' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke 400 now' }).click();
    await page.getByText(/^2 of 2 gateways refuse them, the slowest after [\d.]+ m?s\.$/).waitFor();
    t.strictSame(
      sent.map(({ revocations, confirm = false }) => [revocations.length, confirm]),
      [
        [200, false],
        [200, true],
      ],
      'few requests, and the fleet is asked with the last of them',
    );
    t.equal((await send(other.url, '/orders', { token: tokenOf('pia-400', 's') })).status, 401);

    await page.route('**/v1/revocations', async (route) => {
      if (route.request().method() !== 'POST') return route.fallback();
      const response = await route.fetch();
      const real = (await response.json()) as object;
      const confirmed = { gateways: 5, refuse: 4, slowest_ms: 11, unconfirmed: ['edge-5@host-e'] };
      return route.fulfill({ response, json: 'confirmed' in real ? { ...real, confirmed } : real });
    });
    await revoke(page, /lost phone/, 'olga-2', '');
    const result = page.getByText(
      /^Revoked\. Only 4 of 5 gateways refuse it, the slowest after 11 ms\. Not confirmed by edge-5@host-e:/,
    );
    await result.waitFor();
    t.equal(await result.getAttribute('class'), 'notice warn');

    await other.stop();
    await page.clock.fastForward(LOOK_AGAIN_MS);
    await page.locator('#gateways-part').getByText('(this gateway)').waitFor();
    t.equal(await gateways.count(), 3, 'a gateway that ended in order is gone at once');
    t.strictSame(wrong, []);
  });

  t.test('what the role cannot do is disabled, and the page says why', async (t) => {
    await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'mo' });
    await visit({ ...MADE_UP, '/v1/session': { name: 'ann', role: 'read', expires_at: 4e9 } });
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
    const parts = ['/v1/gateways', '/v1/history', '/v1/refusals', '/v1/explain', '/v1/sessions/search'];
    await visit(Object.fromEntries(parts.map((part) => [part, 404])));
    await page.getByText('✓ All is well at edge.').waitFor();
    for (const id of ['gateways-part', 'shares-part', 'charts-part', 'refusals-part', 'explain-form'])
      t.ok(await page.locator(`#${id}`).isHidden(), id);
  });

  t.test('for all eyes: at both widths, light and dark, each state of each tile', async (t) => {
    // axe looks into styles in ways that the page's own policy forbids.
    const page = await open({ bypassCSP: true });
    await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'kay' });
    await respondWith(page, MADE_UP);
    await signIn(page, gateway);
    await page.getByRole('img', { name: /^Requests a second/ }).waitFor();
    await page.getByText('403 insufficient_scope on orders').waitFor();
    await page.getByText('Many at once').click();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('✗ refused: authorize').waitFor();
    for (const [viewport, colorScheme] of [
      [DESK, 'light'],
      [PHONE, 'dark'],
    ] as const) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      t.strictSame(await axeFindings(page), [], `${viewport.width} ${colorScheme}`);
      const overflow = await page.evaluate('document.scrollingElement.scrollWidth > innerWidth');
      t.notOk(overflow, `nothing sticks out at ${viewport.width}`);
    }
    await takePictures(page, 'well', 'why');
    await page
      .getByRole('button', { name: /^Undo: / })
      .first()
      .click();
    await page.getByRole('dialog').waitFor();
    t.strictSame(await axeFindings(page, '#confirm'), [], 'with a dialog');

    // Before the sign-in the page draws no tiles itself.
    await page.reload();
    const real = (await (await gateway.admin('GET', '/v1/status')).json()) as { revocation: object };
    const states = tileStates(real.revocation);
    const drawn = await drawStates(page, real, states);
    for (const [index, { title, level, state }] of states.entries()) {
      const { now, gone } = drawn[index] ?? {};
      t.strictSame(now, { looks: `tile ${level}`, state: `${SIGNS[level]} ${state}` }, title);
      t.strictSame(gone, { looks: 'tile old', state: goneText(state) }, `${title}, gone`);
    }
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      t.strictSame(await axeFindings(page, '#states'), [], `tiles, ${colorScheme}`);
    }
    await takePictures(page, 'states');
  });

  t.test('by keyboard alone', async (t) => {
    await page.unrouteAll();
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
    await visit({}, other);
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
