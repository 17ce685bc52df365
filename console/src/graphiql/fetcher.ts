import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';

/** Asks over HTTP and watches over a socket. GraphiQL asks for the schema before its headers can be read: then these hold. */
export function openFetcher(url: URL, headers: Readonly<Record<string, string>>): Fetcher {
  const subscriptionUrl = new URL(url);
  subscriptionUrl.protocol = url.protocol.replace('http', 'ws');
  const fetcher = createGraphiQLFetcher({ url: url.href, subscriptionUrl: subscriptionUrl.href });
  return (operation, options) => fetcher(operation, { ...options, headers: options?.headers ?? headers });
}
