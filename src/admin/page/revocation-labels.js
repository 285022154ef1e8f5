/** What can be revoked, and what a revocation will match, in words. */
import { claimsOf } from './chosen-token.js';
import { element, timeElement } from './dom.js';

/**
 * @typedef {import('../entry-json.ts').EntryJson} Entry
 * @typedef {import('../entry-json.ts').PreviewJson} Preview
 * @typedef {{ field: string, title: string, label: string, hint: string, cutoff: boolean, claim?: string }} Kind
 */

/** How far a revocation goes, by the kind of the store. */
export const STORES = {
  memory: {
    health: 'known to this gateway only, until it restarts',
    others: 'no other gateway hears of it, and a restart forgets it',
  },
  sqlite: {
    health: 'revocations reach all gateways that share its file',
    others: 'gateways that share its file hear of it',
  },
  redis: {
    health: 'revocations reach the fleet',
    others: 'the others hear of it from the store',
  },
};

/** @type {readonly Kind[]} */
const KINDS = [
  {
    field: 'session',
    title: 'A session, such as a lost phone',
    label: 'Session id (sid)',
    hint: 'The sid of its tokens. It ends for good, whatever a refresh brings. A new login gets another one, and works.',
    cutoff: false,
  },
  {
    field: 'subject',
    title: 'Everything of a person',
    label: 'Subject (sub)',
    hint: 'All tokens of this person whose login was until now, also those with which they act for others. The next login works; end the SSO session, too.',
    cutoff: true,
  },
  {
    field: 'token',
    title: 'One token',
    label: 'The token',
    hint: 'Paste it to choose its session, its subject or its client. It is sent to this gateway only, which checks it and does not keep it.',
    cutoff: false,
  },
  {
    field: 'token_id',
    title: 'One token, by its id',
    label: 'Token id (jti)',
    hint: 'Where you have the id but not the token.',
    cutoff: false,
  },
  {
    field: 'client',
    title: 'Everything of an application, or through an agent',
    label: 'Client id (client_id)',
    hint: 'All tokens of this application that were issued until now, and those with which it acts for users (act). End its refresh tokens, too.',
    cutoff: true,
  },
];

/**
 * @param {readonly string[]} claims by which tokens can be revoked
 * @returns {Kind[]}
 */
export function kindsWith(claims) {
  return [
    ...KINDS,
    ...claims.map((claim) => ({
      field: 'claim',
      claim,
      title: `Everything with a ${claim}, such as a device`,
      label: `Value of ${claim}`,
      hint: `All tokens that were issued until now and whose ${claim} is this, or has it as an element.`,
      cutoff: true,
    })),
  ];
}

/** @param {Pick<Entry, 'target' | 'id'>} entry */
export function targetText({ target, id }) {
  if (target === null) return `restored entry ${id}`;
  const [[kind = '', value] = []] = Object.entries(target);
  const names = /** @type {Record<string, string>} */ ({
    token_sha256: 'token with SHA-256',
    token_id: 'token',
    claim: 'claim',
  });
  const text =
    typeof value === 'object'
      ? Object.entries(value ?? {})
          .map((pair) => pair.join(' = '))
          .join()
      : value;
  return `${names[kind] ?? kind} ${text}`;
}

/**
 * What a revocation will match, in words.
 *
 * @param {Kind} kind
 * @param {Record<string, unknown>} command
 * @param {Preview} preview
 * @param {Entry | undefined} known
 */
export function previewOf({ cutoff, field }, command, preview, known) {
  const row = (/** @type {string} */ name, /** @type {(Node | string)[]} */ ...value) => [
    element('dt', {}, name),
    element('dd', {}, ...value),
  ];
  const claims = field === 'token' ? claimsOf(String(command['token'])) : undefined;
  const before = command['issued_before'];
  return [
    element('dl', {}, ...row('Ends', preview.ends), ...row('End also', preview.also_end)),
    element(
      'dl',
      {},
      ...row('Matches', targetText(preview)),
      ...row('Issued by', preview.issuer),
      ...(claims?.['sub'] === undefined ? [] : row('Subject', String(claims['sub']))),
      ...(typeof claims?.['exp'] === 'number' ? row('Expires', timeElement(claims['exp'])) : []),
      ...(cutoff ? row('Issued until', typeof before === 'number' ? timeElement(before) : 'now') : []),
      ...row('Reason', command['reason'] === undefined ? 'none given' : String(command['reason'])),
    ),
    ...(known
      ? [
          element(
            'p',
            { class: 'notice good' },
            `This was revoked before, by ${known.created_by} `,
            timeElement(known.created_at),
            '.',
          ),
        ]
      : []),
  ];
}
