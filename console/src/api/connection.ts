import { useSyncExternalStore } from 'react';

/** `live` counts the connections made so far: a new one may have missed what was told meanwhile. */
export type ConnectionState =
  | Readonly<{ state: 'connecting' }>
  | Readonly<{ state: 'live'; connections: number }>
  | Readonly<{ state: 'reconnecting' }>
  | Readonly<{ state: 'ended' }>;

/** How the socket fares, for whoever watches. */
export class Connection {
  #state: ConnectionState = { state: 'connecting' };
  #connections = 0;
  readonly #listeners = new Set<() => void>();

  connected(): void {
    this.#connections += 1;
    this.#become({ state: 'live', connections: this.#connections });
  }

  lost(): void {
    this.#become({ state: this.#connections === 0 ? 'connecting' : 'reconnecting' });
  }

  ended(): void {
    this.#become({ state: 'ended' });
  }

  readonly current = (): ConnectionState => this.#state;

  /** How many connections there have been. */
  readonly count = (): number => this.#connections;

  readonly listen = (changed: () => void): (() => void) => {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  };

  #become(state: ConnectionState): void {
    this.#state = state;
    for (const changed of this.#listeners) {
      changed();
    }
  }
}

export function useConnectionState(connection: Connection): ConnectionState {
  return useSyncExternalStore(connection.listen, connection.current);
}
