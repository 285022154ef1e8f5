/** An application with an MCP client: it knows the URL of a server, keeps what it is given, and lets its user log in. */
import { randomUUID } from 'node:crypto';
import { logIn } from '../support/development-login.ts';
import { Browser, type Tokens } from '../support/oauth-client.ts';
import type { ClientSdk, ClientTransport, McpClient } from './sdk.ts';

export interface Connection {
  readonly client: McpClient;
  readonly transport: ClientTransport;
}

const REDIRECT_URL = 'http://127.0.0.1:1/callback';

export class App {
  /** The URLs that its user has opened to log in. */
  readonly logins: URL[] = [];
  registration: { readonly client_id: string } | undefined;
  tokens: Tokens | undefined;
  readonly #sdk: ClientSdk;
  readonly #options: object;
  readonly #grantTypes: readonly string[];
  readonly #browser = new Browser();
  #verifier = '';

  /** @param options those of its client */
  constructor(sdk: ClientSdk, { refreshes = false, options = {} } = {}) {
    this.#sdk = sdk;
    this.#options = options;
    this.#grantTypes = ['authorization_code', ...(refreshes ? ['refresh_token'] : [])];
  }

  /** Connects, and lets alice log in where that is asked for. */
  async connect(url: string): Promise<Connection> {
    const { client, transport } = this.#begin(url);
    try {
      await client.connect(transport);
      return { client, transport };
    } catch (error) {
      if (!(error instanceof this.#sdk.UnauthorizedError)) throw error;
      await this.finish(transport);
      const second = this.#begin(url);
      await second.client.connect(second.transport);
      return second;
    }
  }

  /** Alice logs in, and the transport gets what her browser brings back. */
  async finish(transport: ClientTransport): Promise<void> {
    const login = this.logins.at(-1)?.href ?? '';
    const { searchParams } = await logIn(this.#browser, login, REDIRECT_URL, 'alice');
    await transport.finishAuth(searchParams.get('code') ?? '', searchParams.get('iss') ?? '');
  }

  #begin(url: string): Connection {
    const { Client, StreamableHTTPClientTransport } = this.#sdk;
    const authProvider = {
      redirectUrl: REDIRECT_URL,
      clientMetadata: {
        client_name: 'App',
        application_type: 'native',
        redirect_uris: [REDIRECT_URL],
        grant_types: this.#grantTypes,
        token_endpoint_auth_method: 'none',
      },
      clientInformation: () => this.registration,
      saveClientInformation: (registration: { client_id: string }) => void (this.registration = registration),
      tokens: () => this.tokens,
      saveTokens: (tokens: Tokens) => void (this.tokens = tokens),
      codeVerifier: () => this.#verifier,
      saveCodeVerifier: (verifier: string) => void (this.#verifier = verifier),
      state: () => randomUUID(),
      redirectToAuthorization: (login: URL) => void this.logins.push(login),
    };
    const client = new Client({ name: 'app', version: '1.0.0' }, this.#options);
    return { client, transport: new StreamableHTTPClientTransport(new URL(url), { authProvider }) };
  }
}
