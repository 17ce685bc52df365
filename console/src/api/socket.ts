import { type Client, createClient } from 'graphql-ws';
import type { Connection } from './connection.ts';

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const FORBIDDEN = 4403;

/** One socket for all that is watched; it comes back by itself and subscribes again to everything. */
export function openSocket(url: string, token: string, connection: Connection, refused: () => void): Client {
  let pong: ReturnType<typeof setTimeout> | undefined;
  const client = createClient({
    url,
    connectionParams: { Authorization: `Bearer ${token}` },
    lazy: false,
    keepAlive: PING_EVERY_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait,
    shouldRetry: (event) => closeCode(event) !== FORBIDDEN,
    onNonLazyError: () => {}, // the connection tells it
    on: {
      connected: () => connection.connected(),
      // A cable that was pulled says nothing: a pong that does not come does.
      ping: (received) => {
        if (!received) {
          pong = setTimeout(() => client.terminate(), PONG_WITHIN_MS);
        }
      },
      pong: (received) => {
        if (received) {
          clearTimeout(pong);
        }
      },
      closed: (event) => {
        clearTimeout(pong);
        if (closeCode(event) === FORBIDDEN) {
          connection.ended();
          refused();
        } else {
          connection.lost();
        }
      },
    },
  });
  return client;
}

function closeCode(event: unknown): number | undefined {
  return event instanceof CloseEvent ? event.code : undefined;
}

/** Twice as long each time, and never the same for two: they must not all return at once. */
async function retryWait(retries: number): Promise<void> {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** retries);
  await new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
}
