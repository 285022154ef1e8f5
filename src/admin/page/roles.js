/** What the caller may do: forms that it may not use are disabled, and say why. */
import { byId } from './dom.js';

/** Each may do what those before it may. */
const ROLES = ['read', 'revoke', 'operate'];

/** @typedef {{ name: string, role: string | null, expires_at: number | null }} Session */

/**
 * @param {Session} session
 * @param {string} needed
 */
export function mayAct({ role }, needed) {
  return role !== null && ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/**
 * @param {Session} session
 * @param {{ needed: string, fields: string[], note: string, what: string }} part ids of fieldsets, and of where it is said
 */
export function restrict(session, { needed, fields, note, what }) {
  const may = mayAct(session, needed);
  for (const id of fields) byId(id).disabled = !may;
  byId(note).hidden = may;
  byId(note).textContent =
    `${what} needs the role ${needed}. You are signed in as ${session.name} with the role ${session.role ?? 'none'}: ` +
    `sign in with a token whose scope gives ${needed}, or with an admin token.`;
}
