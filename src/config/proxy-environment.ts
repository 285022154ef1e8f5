/** What `proxy: environment` means here: HTTPS_PROXY and NO_PROXY, in lower case too, as curl reads them. */
import { isProxyUrl, type IssuerHttp } from './issuer-http-schema.ts';
import type { Problem } from './problem.ts';
import type { Configuration } from './schema.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Puts what the environment says into each `proxy: environment`. No message holds the value of a variable. */
export function resolveProxies({ issuers, signals }: Configuration, environment: Environment): Problem[] {
  const sections = Object.entries({ issuers, signals }).flatMap(([section, entries]) =>
    Object.entries<{ readonly http?: IssuerHttp | undefined }>(entries).map(
      ([name, { http }]) => [[section, name], http] as const,
    ),
  );
  return sections.flatMap(([path, http]): Problem[] => {
    if (http?.proxy?.isEnvironment !== true) return [];
    const [variable, value = ''] = firstOf(environment, ['https_proxy', 'HTTPS_PROXY']);
    const [, noProxy = ''] = firstOf(environment, ['no_proxy', 'NO_PROXY']);
    if (value === '') return [];
    // curl and others take an address without a scheme for an HTTP proxy.
    const url = value.includes('://') ? value : `http://${value}`;
    if (!isProxyUrl(url))
      return [
        {
          path: [...path, 'http', 'proxy'],
          message: `the variable ${variable} is not the URL of an HTTP proxy such as http://proxy.example.com:3128; correct it, or write the proxy here`,
        },
      ];
    http.proxy.url = url;
    http.proxy.noProxy = noProxy;
    return [];
  });
}

function firstOf(environment: Environment, names: readonly string[]): [string, string | undefined] {
  const name = names.find((each) => (environment[each] ?? '') !== '') ?? '';
  return [name, environment[name]];
}
