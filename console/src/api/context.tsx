import { createContext, useContext } from 'react';
import type { Api } from './api.ts';
import { type ConnectionState, useConnectionState } from './connection.ts';

const ApiContext = createContext<Api | null>(null);

export const ApiProvider = ApiContext.Provider;

/** The connection to the server, for whoever shows its state. */
export function useConnection(): ConnectionState {
  return useConnectionState(useApi().connection);
}

/** How many connections there have been: who reads what is only told once reads again when it grows. */
export function useReconnections(): number {
  const state = useConnection();
  const { connection } = useApi();
  return state.state === 'live' ? state.connections : connection.count();
}

function useApi(): Api {
  const api = useContext(ApiContext);
  if (!api) {
    throw new Error('there is no connection here');
  }
  return api;
}
