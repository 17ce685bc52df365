import type { Client } from 'graphql-ws';
import { graphql } from '../api/graphql.ts';
import { ask } from './operation.ts';

const RefreshMutation = graphql(`
  mutation EmbeddedRefresh($ticketId: ID!, $connectorId: ID!) {
    refreshLookup(ticketId: $ticketId, connectorId: $connectorId) { __typename }
  }
`);

/** Asks a CRM again; whether its connector is still there. What it says comes to whoever watches. */
export async function refresh(
  client: Client,
  which: Readonly<{ ticketId: string; connectorId: string }>,
  signal: AbortSignal,
): Promise<boolean> {
  const { refreshLookup } = await ask(client, RefreshMutation, { ...which }, signal);
  return refreshLookup.__typename === 'LookupsRefreshed';
}
