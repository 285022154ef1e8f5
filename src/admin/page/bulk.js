/** Many revocations in few requests: through /v1/revocations/bulk. */
import { ApiError, sentence, wordsOf } from './api.js';

const MOST_ENTRIES = 200;
/** The API takes 1 MiB: tokens may be long. */
const MOST_BYTES = 1_000_000;
/** One order that has not the right form, or is too long. */
const REFUSED_WHOLE = [400, 413];

/**
 * @typedef {{ command: Record<string, unknown>, outcome: string, isGood: boolean }} Order
 * @typedef {{ index: number, status: number, title?: string, expired?: boolean }} Result what POST /v1/revocations would respond
 */

/**
 * @template {Order} T
 * @param {readonly T[]} orders
 * @returns {T[][]} each fits into one request
 */
export function chunksOf(orders) {
  const encoder = new TextEncoder();
  /** @type {T[][]} */
  const chunks = [];
  let bytes = 0;
  for (const order of orders) {
    const size = encoder.encode(JSON.stringify(order.command)).length + 1;
    const last = chunks.at(-1);
    if (last && last.length < MOST_ENTRIES && bytes + size <= MOST_BYTES) {
      last.push(order);
      bytes += size;
    } else {
      chunks.push([order]);
      bytes = size;
    }
  }
  return chunks;
}

/**
 * Sends one chunk, and notes the result on each order. Where the whole of it is refused, the halves find those that are wrong.
 *
 * @param {import('./api.js').Api} api
 * @param {readonly Order[]} orders
 * @param {{ dry_run?: true, confirm?: true }} options
 * @returns {Promise<import('./confirmed.js').Confirmed | undefined>}
 */
export async function sendChunk(api, orders, options) {
  try {
    const { results, confirmed } = await api.call('POST', '/v1/revocations/bulk', {
      revocations: orders.map(({ command }) => command),
      ...options,
    });
    const byIndex = new Map(results.map((/** @type {Result} */ result) => [result.index, result]));
    for (const [index, order] of orders.entries())
      Object.assign(order, outcomeOf(byIndex.get(index), options.dry_run === true));
    return confirmed;
  } catch (error) {
    if (orders.length > 1 && error instanceof ApiError && REFUSED_WHOLE.includes(error.status)) {
      const middle = Math.ceil(orders.length / 2);
      const first = await sendChunk(api, orders.slice(0, middle), options);
      return (await sendChunk(api, orders.slice(middle), options)) ?? first;
    }
    for (const order of orders) Object.assign(order, { outcome: wordsOf(error), isGood: false });
    return undefined;
  }
}

/**
 * @param {Result | undefined} result
 * @param {boolean} isPreview
 * @returns {Pick<Order, 'outcome' | 'isGood'>}
 */
function outcomeOf(result, isPreview) {
  if (result === undefined) return { outcome: 'The response does not say. Try it again.', isGood: false };
  const { status, title, expired } = result;
  if (status >= 400) return { outcome: sentence(title ?? `It failed with ${status}`), isGood: false };
  if (isPreview) return { outcome: 'can be revoked', isGood: true };
  if (expired) return { outcome: 'has expired already: nothing to revoke', isGood: true };
  return { outcome: status === 201 ? 'revoked' : 'revoked; it was in the list before', isGood: true };
}
