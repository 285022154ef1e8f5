/** The admin page: signing in, and looking again every few seconds. */
import { Api } from './api.js';
import { byId } from './dom.js';
import { showHealth, showRoutes } from './health.js';
import { Revocations } from './revocations.js';
import { Traffic } from './traffic.js';

const LOOK_AGAIN_MS = 2_000;

byId('sign-in-form').onsubmit = async (/** @type {Event} */ event) => {
  event.preventDefault();
  const input = byId('admin-token');
  const error = byId('sign-in-error');
  error.textContent = '';
  const api = new Api(input.value.trim());
  try {
    const status = await api.call('GET', '/v1/status');
    input.value = '';
    begin(api, status);
  } catch (failure) {
    error.textContent = failure instanceof Error ? failure.message : String(failure);
    input.select();
  }
};

// Reloading forgets everything, the token first of all.
byId('sign-out').onclick = () => location.reload();

/**
 * @param {Api} api
 * @param {import('./health.js').Status} status
 */
function begin(api, status) {
  byId('sign-in').hidden = true;
  for (const id of ['dashboard', 'sections', 'sign-out']) byId(id).hidden = false;
  showHealth(status);
  showRoutes(status);
  new Revocations(api).begin(status);
  byId('content').focus();
  void watch(api, new Traffic());
}

/**
 * @param {Api} api
 * @param {Traffic} traffic
 */
async function watch(api, traffic) {
  const notice = byId('connection-error');
  for (;;) {
    // A page in the background is not looked at.
    if (document.visibilityState === 'visible') {
      try {
        traffic.show(await api.metrics());
        showHealth(await api.call('GET', '/v1/status'));
        notice.hidden = true;
      } catch (error) {
        notice.textContent = error instanceof Error ? error.message : String(error);
        notice.hidden = false;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
