/** The login pages that oidc-provider brings for development: every name, every password, and one consent. */
import { formOf, type Browser } from './oauth-client.ts';

/**
 * Does what a person does in a browser with the URL of a login, and comes back to the client. A browser that has logged in before is asked for what
 * is new alone.
 *
 * @param redirectUrl where the client waits
 */
export async function logIn(browser: Browser, url: string, redirectUrl: string, name: string): Promise<URL> {
  let page = await browser.follow(await browser.open(url), redirectUrl);
  while (page.location === undefined) {
    if (page.status !== 200) throw new Error(`${page.url}: ${page.status} ${page.html}`);
    const { action, hidden } = formOf(page);
    const filledIn = hidden['prompt'] === 'login' ? { ...hidden, login: name, password: 'any' } : hidden;
    page = await browser.follow(await browser.open(action, filledIn), redirectUrl);
  }
  return new URL(page.location);
}
