/** What the gateway would do with a request: through /v1/explain. Token and proof leave the page in that one request alone. */
import { ApiError, wordsOf } from './api.js';
import { byId, element } from './dom.js';
import { reasonText } from './reasons.js';
import { restrict } from './roles.js';

const DECISIONS = {
  allow: { level: 'good', words: 'It passes.' },
  fail_open: { level: 'warn', words: 'It passes unchecked, as the route is configured (fail open).' },
  report: { level: 'warn', words: 'It passes, since the route only reports. Otherwise it would be refused.' },
  deny: { level: 'bad', words: 'It is refused.' },
  error: { level: 'bad', words: 'It cannot be decided at the moment, and fails.' },
  unknown: { level: 'warn', words: 'It cannot be told from here.' },
};
const OUTCOMES = {
  passed: '✓ passed',
  assumed: '! assumed',
  refused: '✗ refused',
  reported: '! reported',
  unknown: '? unknown',
  not_reached: '– not reached',
};

/**
 * @typedef {{
 *   decision: keyof typeof DECISIONS, reason: string | null, status: number | null, code: string | null, route: string | null,
 *   stages: { stage: string, outcome: keyof typeof OUTCOMES, detail: string }[],
 *   nearest_routes: { route: string, why: string[] }[], upstream: { name: string } | null,
 * }} Explanation as `sallyport explain --json` prints it; what is not shown is left out here
 */

export class Explain {
  /** @type {import('./api.js').Api} */
  #api;

  /** @param {import('./api.js').Api} api */
  constructor(api) {
    this.#api = api;
  }

  /**
   * @param {import('./health.js').Status} status
   * @param {import('./roles.js').Session} session
   */
  async begin(status, session) {
    byId('explain-form').hidden = !(await this.#isThere());
    restrict(session, {
      needed: 'revoke',
      fields: ['explain-fields'],
      note: 'explain-role',
      what: 'To explain a request',
    });
    const route = byId('explain-route');
    route.replaceChildren(
      ...status.routes.map(({ name, match }) => element('option', { value: match }, `${name} (${match})`)),
    );
    route.onchange = () => {
      byId('explain-url').value = urlOf(route.value);
    };
    byId('explain-url').value = urlOf(route.value);
    byId('explain-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#explain();
    };
  }

  /** A gateway that lacks it responds with 404; one that has it, with 405. */
  async #isThere() {
    try {
      await this.#api.call('GET', '/v1/explain');
    } catch (error) {
      if (error instanceof ApiError) return error.status === 405;
      throw error;
    }
    return true;
  }

  async #explain() {
    const token = byId('explain-token').value.trim();
    const proof = byId('explain-dpop').value.trim();
    for (const id of /** @type {const} */ (['explain-token', 'explain-dpop'])) byId(id).value = '';
    byId('explain-error').textContent = '';
    byId('explanation').replaceChildren();
    try {
      const explanation = await this.#api.call('POST', '/v1/explain', {
        method: byId('explain-method').value,
        url: byId('explain-url').value.trim(),
        ...(token === '' ? {} : { token }),
        ...(proof === '' ? {} : { dpop: proof }),
      });
      byId('explanation').replaceChildren(...explanationOf(explanation, token !== ''));
    } catch (error) {
      byId('explain-error').textContent = wordsOf(error);
    }
  }
}

/**
 * A URL that the route may match, to begin with.
 *
 * @param {string} match as the status tells it
 */
function urlOf(match) {
  const place = match.split(' ').find((part) => part.includes('/')) ?? '/';
  const [hosts = ''] = place.split('/');
  const host = (hosts.split('|')[0] ?? '').replace('*', 'www');
  return `http://${host || 'localhost'}${place.slice(hosts.length).replace(/\*$/, '')}`;
}

/**
 * @param {Explanation} explanation
 * @param {boolean} hasToken
 */
function explanationOf(explanation, hasToken) {
  const { decision, reason, status, code, route, stages, nearest_routes, upstream } = explanation;
  const { level, words } = DECISIONS[decision];
  const more = [
    ...(status === null ? [] : [`The client gets ${status}${code === null ? '' : ` (${code})`}.`]),
    ...(reason === null || reason === 'ok' ? [] : [`${reason}: ${reasonText(reason, code ?? '')}`]),
    ...(upstream === null ? [] : [`It goes to the upstream ${upstream.name}.`]),
  ];
  return [
    element(
      'p',
      { class: `notice ${level}` },
      element('b', {}, words),
      ` ${hasToken ? 'With the token' : 'Without a token'}${route === null ? '' : `, route ${route}`}, this gateway. ${more.join(' ')}`,
    ),
    element(
      'ol',
      { class: 'stages' },
      ...stages.map(({ stage, outcome, detail }) =>
        element(
          'li',
          { class: outcome },
          element('b', {}, `${OUTCOMES[outcome]}: ${stage.replaceAll('_', ' ')}`),
          element('span', {}, detail),
        ),
      ),
    ),
    ...(nearest_routes.length === 0
      ? []
      : [
          element(
            'p',
            { class: 'hint' },
            `No route matches. The nearest: ${nearest_routes.map(nearText).join('; ')}`,
          ),
        ]),
  ];
}

/** @param {Explanation['nearest_routes'][number]} near */
function nearText(near) {
  return `${near.route} (${near.why.join(', ')})`;
}
