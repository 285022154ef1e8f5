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
 * Which gateways a figure is of.
 *
 * @param {{ asked: string[], silent: string[] }} gateways
 */
export function gatewaysText({ asked, silent }) {
  if (asked.length <= 1) return 'this gateway';
  if (silent.length === 0) return `all ${asked.length} gateways`;
  return `${asked.length - silent.length} of ${asked.length} gateways; no response from ${silent.join(', ')}`;
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
