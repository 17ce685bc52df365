import { Client, cacheExchange, fetchExchange, mapExchange, subscriptionExchange } from '@urql/core';
import { Connection } from './connection.ts';
import { openSocket } from './socket.ts';

/** Everything through which the console speaks to the server. */
export type Api = Readonly<{ client: Client; connection: Connection; close: () => void }>;

/** `refused` is called when the server no longer takes the token. */
export function openApi(token: string, refused: () => void): Api {
  const url = endpoint();
  const connection = new Connection();
  const socket = openSocket(url.replace(/^http/, 'ws'), token, connection, refused);
  const client = new Client({
    url,
    preferGetMethod: false,
    fetchOptions: () => ({ headers: { authorization: `Bearer ${token}` } }),
    exchanges: [
      mapExchange({
        onError: (error) => {
          if (error.graphQLErrors.some((one) => one.extensions.code === 'UNAUTHENTICATED')) {
            refused();
          }
        },
      }),
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe(
              { query: query ?? '', variables: variables as Record<string, unknown> },
              {
                ...sink,
                next: (result) => sink.next(result as Parameters<typeof sink.next>[0]),
              },
            ),
          }),
        }),
      }),
    ],
  });
  return { client, connection, close: () => void socket.dispose() };
}

/** Where the API is: beside the page, wherever a proxy has put both. */
export function endpoint(): string {
  return new URL('./graphql', location.href).href;
}
