import type { Connection } from './connection.ts';
import { openSocket } from './socket.ts';
import { openStream } from './stream.ts';

type Complaint = Readonly<{ message: string; extensions?: Readonly<Record<string, unknown>> | undefined }>;
export type Event = Readonly<{ data?: unknown; errors?: readonly Complaint[] | undefined }>;
export type Subscription = Readonly<{ query: string; variables: Record<string, unknown> }>;
export type Hearer = Readonly<{ next: (event: Event) => void; complete: () => void }>;

/** On which subscriptions come from the server. */
export type Line = Readonly<{
  /** Hears every event through each loss of the connection, until the function that it returns is called. */
  follow: (subscription: Subscription, hearer: Hearer) => () => void;
  close: () => void;
}>;

const SOCKETS_TRIED = 2;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const LONG_LIFE_MS = 10_000;
const PASSING: readonly unknown[] = ['INTERNAL', 'UNAVAILABLE'];

/** One socket for all; where none comes through, a stream of events for each. `refused`: the token is no longer good. */
export function openLine(url: string, token: string, connection: Connection, refused: () => void): Line {
  const closing = new AbortController();
  let cameThrough = false;
  let failures = 0;
  const socket = openSocket(url.replace(/^http/, 'ws'), token, {
    connected: () => {
      cameThrough = true;
      connection.connected();
    },
    lost: () => {
      failures += 1;
      connection.lost();
    },
    refused: () => {
      connection.ended();
      refused();
    },
  });

  /** Until it ends, and whether it is over for good. */
  function once(subscription: Subscription, hearer: Hearer, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const next = (event: Event) => {
        if (!event.errors) {
          hearer.next(event);
        } else if (!event.errors.every(({ extensions }) => PASSING.includes(extensions?.code))) {
          hearer.next(event);
          resolve(true);
        }
      };
      const complete = () => resolve(false);
      const stop =
        !cameThrough && failures >= SOCKETS_TRIED
          ? openStream(url, token, subscription, {
              opened: () => connection.connected(),
              next,
              complete,
              lost: () => {
                failures = 0; // it was not the sockets alone
                connection.lost();
                complete();
              },
            })
          : socket.subscribe(subscription, { next, complete });
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  async function follow(subscription: Subscription, hearer: Hearer, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const began = performance.now();
      if (await once(subscription, hearer, signal)) {
        hearer.complete();
        return;
      }
      if (performance.now() - began > LONG_LIFE_MS) {
        attempt = 0;
      }
      await pause(attempt, signal);
    }
  }

  return {
    follow: (subscription, hearer) => {
      const stopping = new AbortController();
      void follow(subscription, hearer, AbortSignal.any([stopping.signal, closing.signal]));
      return () => stopping.abort();
    },
    close: () => {
      closing.abort();
      socket.close();
    },
  };
}

/** Twice as long each time, and never the same for two: they must not all return at once. */
function pause(attempt: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return new Promise((resolve) => {
    setTimeout(resolve, longest * (0.5 + Math.random() / 2));
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
