import { type Client, createClient } from 'graphql-ws';
import { NoToken } from './trouble.ts';

/** A token, or who to ask for one that is valid now. */
export type Credentials = string | (() => string | Promise<string>);

export type Lease = Readonly<{ client: Client; release: () => void }>;

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const LINGER_MS = 3_000;

type Shared = { client: Client; leases: number };
const sockets = new Map<string, Map<Credentials, Shared>>();

/** A socket to `endpoint`, the same for all who come with the same credentials. */
export function leaseSocket(endpoint: string, credentials: Credentials): Lease {
  const shared = sharedSocket(endpoint, credentials);
  shared.leases += 1;
  const release = () => {
    shared.leases -= 1;
    setTimeout(() => closeUnused(endpoint, credentials, shared), LINGER_MS); // who moves in the page comes back at once
  };
  return { client: shared.client, release };
}

function sharedSocket(endpoint: string, credentials: Credentials): Shared {
  const here = sockets.get(endpoint) ?? new Map<Credentials, Shared>();
  const shared = here.get(credentials) ?? { client: openSocket(endpoint, credentials), leases: 0 };
  sockets.set(endpoint, here.set(credentials, shared));
  return shared;
}

function closeUnused(endpoint: string, credentials: Credentials, shared: Shared): void {
  const here = sockets.get(endpoint);
  if (shared.leases === 0 && here?.get(credentials) === shared) {
    here.delete(credentials);
    void shared.client.dispose();
  }
}

async function tokenOf(credentials: Credentials): Promise<string> {
  try {
    return typeof credentials === 'string' ? credentials : await credentials();
  } catch (reason) {
    throw new NoToken(`getToken failed: ${reason}`);
  }
}

function openSocket(endpoint: string, credentials: Credentials): Client {
  let pong: ReturnType<typeof setTimeout> | undefined;
  const client: Client = createClient({
    url: endpoint.replace(/^http/, 'ws'),
    connectionParams: async () => ({ Authorization: `Bearer ${await tokenOf(credentials)}` }),
    lazyCloseTimeout: LINGER_MS,
    retryAttempts: 0, // whoever watches comes back, for reasons at which the library gives up, too
    keepAlive: PING_EVERY_MS,
    on: {
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
      closed: () => clearTimeout(pong),
    },
  });
  return client;
}
