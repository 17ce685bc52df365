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
const MOST_STREAMS = 2; // of HTTP/1.1 a browser has six connections to a host, for all tabs and requests together
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const LONG_LIFE_MS = 10_000;
const PASSING: readonly unknown[] = ['INTERNAL', 'UNAVAILABLE'];

/** One socket for all; where none comes through, a stream of events for each. `refused`: the token is no longer good. */
export function openLine(url: string, token: string, connection: Connection, refused: () => void): Line {
  const closing = new AbortController();
  let cameThrough = false;
  let failures = 0;
  let streams = 0;
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

  function stream(subscription: Subscription, hearer: Hearer): () => void {
    streams += 1;
    const stop = openStream(url, token, subscription, {
      ...hearer,
      opened: () => connection.connected(),
      lost: () => {
        failures = 0; // it was not the sockets alone
        connection.lost();
        hearer.complete();
      },
    });
    return () => {
      streams -= 1;
      stop();
    };
  }

  function open(subscription: Subscription, hearer: Hearer): () => void {
    if (cameThrough || failures < SOCKETS_TRIED) {
      return socket.subscribe(subscription, hearer);
    }
    if (streams < MOST_STREAMS) {
      return stream(subscription, hearer);
    }
    queueMicrotask(hearer.complete); // until there is room
    return () => {};
  }

  /** Until it ends, and whether it is over for good. */
  async function once(subscription: Subscription, hearer: Hearer, signal: AbortSignal): Promise<boolean> {
    let stop = () => {};
    const forGood = await new Promise<boolean>((resolve) => {
      const next = (event: Event) => {
        if (!event.errors) {
          hearer.next(event);
        } else if (!event.errors.every(({ extensions }) => PASSING.includes(extensions?.code))) {
          hearer.next(event);
          resolve(true);
        }
      };
      const complete = () => resolve(false);
      stop = open(subscription, { next, complete });
      signal.addEventListener('abort', complete, { once: true });
    });
    stop();
    return forGood;
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
