/** Making elements, and writing times and numbers for people. */

/**
 * @param {string} id
 * @returns {any} the element; it is in index.html
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] set on the element; `class` and names with a dash as attributes
 * @param {...(Node | string)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'class' || name.includes('-')) made.setAttribute(name, String(value));
    else Object.assign(made, { [name]: value });
  }
  made.append(...children);
  return made;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @param {number} seconds since 1970 */
export function timeElement(seconds) {
  const date = new Date(seconds * 1000);
  return element(
    'time',
    { datetime: date.toISOString(), dateTime: date.toISOString() },
    date.toLocaleString(),
  );
}

/** @param {number} seconds since 1970 */
export function clockText(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, { hourCycle: 'h23' });
}

/**
 * Which gateways a look-up asked, and which of them, or of their processes, did not reply. `complete` is false where the store is
 * unavailable: this gateway sees no other.
 *
 * @typedef {{ asked: string[], silent: string[], complete?: boolean }} Asked
 */

/**
 * Which gateways a figure is of.
 *
 * @param {Asked} gateways
 */
export function gatewaysText({ asked, silent, complete = true }) {
  const missing = silent.length === 0 ? '' : `; no response from ${silent.join(', ')}`;
  if (!complete) return `this gateway; others are not known, since the store is unavailable${missing}`;
  if (asked.length <= 1) return `this gateway${missing}`;
  // A gateway of which one process is silent has not told all.
  const whole = asked.filter(
    (gateway) => !silent.some((name) => name === gateway || name.startsWith(`${gateway} `)),
  );
  return whole.length === asked.length
    ? `all ${asked.length} gateways${missing}`
    : `${whole.length} of ${asked.length} gateways${missing}`;
}

/**
 * What is missing may be what is looked for.
 *
 * @param {Asked} gateways
 */
export function isPartial({ silent, complete = true }) {
  return silent.length > 0 || !complete;
}

/** @param {number} seconds */
export function durationText(seconds) {
  if (seconds < 0.01) return `${Math.round(seconds * 10_000) / 10} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** @param {number} value */
export function numberText(value) {
  return value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 });
}
