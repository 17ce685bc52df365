import { createClient } from 'graphql-ws';
import type { Event, Hearer, Subscription } from './line.ts';

export type Socket = Readonly<{
  /** Until it is lost, or the server is done with it. */
  subscribe: (subscription: Subscription, hearer: Hearer) => () => void;
  close: () => void;
}>;

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const OPEN_WITHIN_MS = 5_000;
const LINGER_MS = 1_000;
const FORBIDDEN = 4403;

/** One socket for all that is watched, open while something is; `told` is left in peace once it is closed. */
export function openSocket(
  url: string,
  token: string,
  told: Readonly<{ connected: () => void; lost: () => void; refused: () => void }>,
): Socket {
  let patience: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  const giveUpIn = (ms: number) => {
    clearTimeout(patience);
    patience = setTimeout(() => client.terminate(), ms);
  };
  const client = createClient({
    url,
    connectionParams: { Authorization: `Bearer ${token}` },
    lazyCloseTimeout: LINGER_MS,
    keepAlive: PING_EVERY_MS,
    retryAttempts: 0, // the library's own retries end for good at a fault of the server
    on: {
      connecting: () => giveUpIn(OPEN_WITHIN_MS), // some proxies neither pass a socket on nor refuse it
      connected: () => {
        clearTimeout(patience);
        told.connected();
      },
      // A cable that was pulled says nothing: a pong that does not come does.
      ping: (received) => received || giveUpIn(PONG_WITHIN_MS),
      pong: (received) => received && clearTimeout(patience),
      closed: (event) => {
        clearTimeout(patience);
        if (!closed) {
          isForbidden(event) ? told.refused() : told.lost();
        }
      },
    },
  });
  return {
    subscribe: (subscription, { next, complete }) =>
      client.subscribe(subscription, {
        next: (result) => next(result as Event),
        complete,
        error: (reason) => {
          if (Array.isArray(reason)) {
            next({ errors: reason });
          }
          complete();
        },
      }),
    close: () => {
      closed = true;
      Promise.resolve(client.dispose()).catch(() => {}); // it was not open yet, and will not be
    },
  };
}

function isForbidden(event: unknown): boolean {
  return event instanceof CloseEvent && event.code === FORBIDDEN;
}
