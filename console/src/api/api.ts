import { Client, cacheExchange, fetchExchange, mapExchange, subscriptionExchange } from '@urql/core';
import { Connection } from './connection.ts';
import { openLine } from './line.ts';

/** Everything through which the console speaks to the server. */
export type Api = Readonly<{ client: Client; connection: Connection; close: () => void }>;

/** `refused` is called when the server no longer takes the token, and never once the API is closed. */
export function openApi(token: string, refused: () => void): Api {
  const url = endpoint();
  const connection = new Connection();
  let closed = false;
  const line = openLine(url, token, connection, refused);
  const client = new Client({
    url,
    preferGetMethod: false,
    fetchOptions: () => ({ headers: { authorization: `Bearer ${token}` } }),
    exchanges: [
      mapExchange({
        onError: (error) => {
          if (!closed && error.graphQLErrors.some((one) => one.extensions.code === 'UNAUTHENTICATED')) {
            refused();
          }
        },
      }),
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: line.follow(
              { query: query ?? '', variables: variables as Record<string, unknown> },
              { ...sink, next: (event) => sink.next(event as Parameters<typeof sink.next>[0]) },
            ),
          }),
        }),
      }),
    ],
  });
  const close = () => {
    closed = true;
    line.close();
  };
  return { client, connection, close };
}

/** Where the API is: beside the page, wherever a proxy has put both. */
export function endpoint(): string {
  return new URL('./graphql', location.href).href;
}
