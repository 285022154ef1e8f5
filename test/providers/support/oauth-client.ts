/** An OAuth client: authorization codes with PKCE through a login form, token requests, logins by cookies. RFC 6749, 7636. */
import { createHash, randomBytes } from 'node:crypto';

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token?: string;
  readonly id_token?: string;
  readonly token_type: string;
  readonly scope?: string;
}

export interface Client {
  readonly id: string;
  readonly secret: string;
}

/** A browser without scripts: it keeps cookies, and follows no redirect by itself. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  /** As a request has them. */
  get cookies(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async open(url: string, form?: Record<string, string>): Promise<Page> {
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        cookie: this.cookies,
      },
      ...(form ? { body: new URLSearchParams(form) } : {}),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (/;\s*max-age=0/i.test(cookie) || value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    const location = response.headers.get('location');
    return {
      url,
      status: response.status,
      location: location === null ? undefined : new URL(location, url).href,
      html: await response.text(),
    };
  }

  /** Opens a page and what it redirects to, until a URL begins with `end`, which is not opened. */
  async follow(page: Page, end: string): Promise<Page> {
    let current = page;
    while (current.location !== undefined && !current.location.startsWith(end))
      current = await this.open(current.location);
    return current;
  }
}

export interface Page {
  readonly url: string;
  readonly status: number;
  /** Where it redirects to. */
  readonly location: string | undefined;
  readonly html: string;
}

/** The action of a page's form, and its hidden fields. */
export function formOf({ html, url }: Page): { action: string; hidden: Record<string, string> } {
  const [, action = ''] = /<form[^>]*\baction="([^"]*)"/i.exec(html) ?? [];
  const hidden: Record<string, string> = {};
  for (const [input] of html.matchAll(/<input\b[^>]*>/gi)) {
    const attribute = (name: string): string =>
      new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(input)?.[1] ?? '';
    if (attribute('type').toLowerCase() === 'hidden')
      hidden[attribute('name')] = unescape(attribute('value'));
  }
  return { action: new URL(unescape(action), url).href, hidden };
}

const unescape = (html: string): string => html.replaceAll('&amp;', '&').replaceAll('&quot;', '"');

/** Posts to a token endpoint as this client. Throws where the response is no success. */
export async function requestTokens(
  endpoint: string,
  client: Client,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Tokens> {
  const response = await postAs(client, endpoint, form, headers);
  const text = await response.text();
  if (!response.ok) throw new Error(`${endpoint}: ${response.status} ${text}`);
  return JSON.parse(text) as Tokens;
}

/** A POST that the client authenticates by client_secret_basic. */
export function postAs(
  { id, secret }: Client,
  url: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`;
  return fetch(url, {
    method: 'POST',
    headers: { authorization, ...headers },
    body: new URLSearchParams(form),
  });
}

export interface CodeFlow {
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly redirectUri: string;
  readonly scope: string;
  readonly browser: Browser;
  /** Fills in the login form, and what comes after it, up to the redirect to the client. */
  readonly login: (first: Page) => Promise<Page>;
}

/** The whole of an authorization code flow with PKCE. */
export async function loginByCode(client: Client, flow: CodeFlow): Promise<Tokens> {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const query = new URLSearchParams({
    client_id: client.id,
    response_type: 'code',
    redirect_uri: flow.redirectUri,
    scope: flow.scope,
    state,
    nonce: randomBytes(16).toString('base64url'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const first = await flow.browser.open(`${flow.authorizationEndpoint}?${query.toString()}`);
  const { location = '', status, html } = await flow.login(first);
  const back = location === '' ? new URLSearchParams() : new URL(location).searchParams;
  const code = back.get('code');
  if (code === null || back.get('state') !== state) throw new Error(`no code: ${status} ${location} ${html}`);
  return requestTokens(flow.tokenEndpoint, client, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: flow.redirectUri,
    code_verifier: verifier,
  });
}

/** The claims of a JWT, not verified. */
export function claimsIn(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

/** The header of a JWT, not verified. */
export function headerOf(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
}
