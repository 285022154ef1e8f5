/** The admin API, as any other client uses it. The token lives here and nowhere else. */

/** A failure in words for people. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0: no response
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Api {
  #token;
  /** Parts that this gateway lacks: they are asked for once. */
  #lacking = new Set();

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>} the JSON of the response; undefined where it has none
   */
  async call(method, path, body) {
    const response = await this.#fetch(path, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const content = text === '' ? undefined : JSON.parse(text);
    if (!response.ok) throw new ApiError(refusalText(response, content), response.status);
    return content;
  }

  /**
   * Of a part of the API that a gateway may lack.
   *
   * @param {string} path
   * @returns {Promise<any>} undefined where this gateway has nothing there
   */
  async optional(path) {
    const [part] = path.split('?');
    if (this.#lacking.has(part)) return undefined;
    try {
      return await this.call('GET', path);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      this.#lacking.add(part);
      return undefined;
    }
  }

  /**
   * @param {string} path
   * @returns {Promise<Blob>} what it has, to be saved
   */
  async download(path) {
    const response = await this.#fetch(path, { headers: { authorization: `Bearer ${this.#token}` } });
    if (!response.ok) throw new ApiError(refusalText(response, await response.json()), response.status);
    return response.blob();
  }

  /** Everything that /metrics has, as text. */
  async metrics() {
    const response = await this.#fetch('/metrics', {});
    return response.text();
  }

  /**
   * @param {string} path
   * @param {RequestInit} options
   */
  async #fetch(path, options) {
    try {
      return await fetch(path, { ...options, cache: 'no-store', credentials: 'omit' });
    } catch {
      throw new ApiError('The gateway does not respond. Is it running, and can this browser reach it?', 0);
    }
  }
}

/**
 * @param {Response} response
 * @param {{ title?: string } | undefined} content
 */
function refusalText(response, content) {
  switch (response.status) {
    case 401:
      return 'This is not an admin token of this gateway.';
    case 429:
      return `Too many wrong tokens came from your address. Try again in ${response.headers.get('retry-after') ?? 'a few'} seconds.`;
    default:
      return sentence(content?.title ?? `The gateway responded with ${response.status}.`);
  }
}

/** @param {string} text */
export function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/** @param {unknown} error */
export function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}
