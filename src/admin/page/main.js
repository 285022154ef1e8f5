/** The admin page: signing in, and looking again every few seconds. */
import { Api, ApiError, wordsOf } from './api.js';
import { ApiKeys } from './api-keys.js';
import { byId, clockText } from './dom.js';
import { Explain } from './explain.js';
import { Fleet } from './fleet.js';
import { showHealth, showRoutes, SIGNS } from './health.js';
import { showLimited } from './limited.js';
import { showReported } from './reported.js';
import { Refusals } from './refusals.js';
import { RevocationList } from './revocation-list.js';
import { RevokeForm } from './revoke-form.js';
import { RevokeMany } from './revoke-many.js';
import { mayAct, restrict } from './roles.js';
import { Traffic } from './traffic.js';

const LOOK_AGAIN_MS = 2_000;

/**
 * @typedef {import('./health.js').Status} Status
 * @typedef {import('./roles.js').Session} Session
 */

byId('sign-in-form').onsubmit = async (/** @type {Event} */ event) => {
  event.preventDefault();
  const input = byId('admin-token');
  const error = byId('sign-in-error');
  error.textContent = '';
  const api = new Api(input.value.trim());
  try {
    const session = await api.call('GET', '/v1/session');
    const status = await api.call('GET', '/v1/status');
    input.value = '';
    begin(api, session, status);
  } catch (failure) {
    error.textContent = wordsOf(failure);
    input.select();
  }
};

// Reloading forgets everything, the token first of all.
byId('sign-out').onclick = () => location.reload();

/**
 * @param {Api} api
 * @param {Session} session
 * @param {Status} status
 */
function begin(api, session, status) {
  byId('sign-in').hidden = true;
  for (const id of ['dashboard', 'sections', 'sign-out']) byId(id).hidden = false;
  const until = session.expires_at === null ? '' : `, until ${clockText(session.expires_at)}`;
  byId('who').textContent = `${session.name} (${session.role ?? 'no role'}${until})`;
  showRoutes(status);
  beginRevocations(api, session, status);
  void new ApiKeys(api, session).begin();
  void new Explain(api).begin(status, session);
  const refusals = new Refusals(api);
  refusals.begin(status);
  byId('content').focus();
  void watch(api, status, refusals);
}

/**
 * @param {Api} api
 * @param {Session} session
 * @param {Status} status
 */
function beginRevocations(api, session, status) {
  restrict(session, {
    needed: 'revoke',
    fields: ['revoke-fields', 'many-fields'],
    note: 'end-role',
    what: 'To revoke, and to undo,',
  });
  const list = new RevocationList(api, mayAct(session, 'revoke'));
  const form = new RevokeForm(api, status, (entry) => list.show(entry));
  form.begin();
  new RevokeMany(
    api,
    () => form.chosen,
    () => list.show(),
  ).begin();
  list.begin();
}

/**
 * @param {Api} api
 * @param {Status} first
 * @param {Refusals} refusals
 */
async function watch(api, first, refusals) {
  const traffic = new Traffic();
  const fleet = new Fleet();
  let last = { status: first, atMs: Date.now() };
  for (;;) {
    // A page in the background is not looked at.
    if (document.visibilityState === 'visible') {
      try {
        const [status, gateways, history, metrics] = await Promise.all([
          api.call('GET', '/v1/status'),
          api.optional('/v1/gateways'),
          api.optional('/v1/history'),
          api.metrics(),
          refusals.look(),
          showLimited(api),
          showReported(api),
        ]);
        last = { status, atMs: Date.now() };
        const others = fleet.show(gateways, status.revocation.max_view_age_seconds);
        const wrong = [...traffic.showHistory(history), ...showHealth(status), ...others];
        showVerdict(wrong, `${showName(status, fleet)}${fleet.othersText}`);
        traffic.showRefusals(metrics);
        byId('connection-error').hidden = true;
      } catch (error) {
        showGone(error, last, { traffic, fleet });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

/**
 * How this gateway is called: the same name may be that of many.
 *
 * @param {Status} status
 * @param {Fleet} fleet
 */
function showName({ name, version }, fleet) {
  const label = fleet.labelOf(name);
  byId('gateway-name').textContent = `${label}, ${version}`;
  return label;
}

/**
 * @param {import('./health.js').Finding[]} wrong
 * @param {string} where all is well, if it is
 */
function showVerdict(wrong, where) {
  const verdict = byId('verdict');
  const level = wrong.length === 0 ? 'good' : wrong.some(({ level }) => level === 'bad') ? 'bad' : 'warn';
  const list = wrong.map(({ words }) => words).join('; ');
  const words = wrong.length === 0 ? `All is well at ${where}.` : `Look at ${list}.`;
  verdict.className = `verdict ${level}`;
  // It is read aloud when it changes, not every two seconds.
  if (verdict.textContent !== `${SIGNS[level]} ${words}`) verdict.textContent = `${SIGNS[level]} ${words}`;
}

/**
 * What is shown is of the past, and says so.
 *
 * @param {unknown} error
 * @param {{ status: Status, atMs: number }} last
 * @param {{ traffic: Traffic, fleet: Fleet }} shown
 */
function showGone(error, { status, atMs }, { traffic, fleet }) {
  const asOf = clockText(atMs / 1000);
  const isSignedOut = error instanceof ApiError && error.status === 401;
  const notice = byId('connection-error');
  const words = isSignedOut
    ? 'Your token is not accepted any more. Sign out, and sign in with another one.'
    : wordsOf(error);
  if (notice.textContent !== words) notice.textContent = words;
  notice.hidden = false;
  byId('verdict').className = 'verdict old';
  byId('verdict').textContent = `? Not known: what is below is as of ${asOf}.`;
  showHealth(status, asOf);
  showName(status, fleet);
  traffic.showShares(asOf);
  fleet.showOld(asOf);
}
