/** What a pasted token is of: its session, its subject, its client, to choose from. The token itself is read here alone. */
import { byId, element } from './dom.js';

/**
 * @typedef {{ field: string, claim?: string, value: string, text: string }} Choice
 */

/** Where authorization servers put the client. */
const CLIENT_CLAIMS = ['client_id', 'azp', 'cid', 'appid'];

/**
 * What a JWT says of itself; undefined for any other token.
 *
 * @param {string} token
 * @returns {Record<string, unknown> | undefined}
 */
export function claimsOf(token) {
  try {
    const payload = atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'));
    const claims = JSON.parse(
      new TextDecoder().decode(Uint8Array.from(payload, (char) => char.charCodeAt(0))),
    );
    return typeof claims === 'object' && claims !== null ? claims : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Record<string, unknown>} claims
 * @param {readonly string[]} revocable names of claims by which tokens can be revoked
 * @returns {Choice[]}
 */
export function choicesOf(claims, revocable) {
  const text = (/** @type {string} */ name) => {
    const value = claims[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const [session, subject] = [text('sid'), text('sub')];
  const client = CLIENT_CLAIMS.map(text).find((value) => value !== undefined);
  return [
    ...(session ? [{ field: 'session', value: session, text: `its session ${session}` }] : []),
    ...(subject ? [{ field: 'subject', value: subject, text: `everything of ${subject}` }] : []),
    ...(client ? [{ field: 'client', value: client, text: `everything of the application ${client}` }] : []),
    ...revocable.flatMap((claim) => {
      const value = text(claim);
      return value ? [{ field: 'claim', claim, value, text: `everything with the ${claim} ${value}` }] : [];
    }),
  ];
}

/**
 * @param {readonly Choice[]} choices
 * @param {(choice: Choice) => void} chosen
 */
export function offerChoices(choices, chosen) {
  const group = byId('of-token');
  group.hidden = choices.length === 0;
  group.replaceChildren(
    element('p', { class: 'hint' }, 'This ends the one token. Or end, as the token says of itself:'),
    ...choices.map((choice) => {
      const button = element('button', { type: 'button', class: 'plain' }, choice.text);
      button.onclick = () => chosen(choice);
      return button;
    }),
  );
}
