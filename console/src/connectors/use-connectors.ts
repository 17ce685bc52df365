import type { CombinedError } from '@urql/core';
import { useCallback, useEffect, useReducer } from 'react';
import { useMutation, useQuery } from 'urql';
import { useReconnections } from '../api/context.tsx';
import { graphql } from '../api/graphql.ts';
import { useLanguage } from '../api/language.ts';
import { useEvents } from '../api/use-events.ts';
import { type ConnectorData, ConnectorFragment } from './connector.ts';
import { UpdateConnector } from './update-connector.ts';

const ConnectorsQuery = graphql(
  `
    query Connectors {
      connectors {
        ...ConnectorSettings
      }
    }
  `,
  [ConnectorFragment],
);

const ConnectorHealth = graphql(
  `
    subscription ConnectorHealth {
      connectorHealth {
        ...ConnectorSettings
      }
    }
  `,
  [ConnectorFragment],
);

const ArrangeConnectors = graphql(`
  mutation ArrangeConnectors($ids: [ID!]!, $locale: Locale!) {
    arrangeConnectors(ids: $ids) {
      __typename
      ... on ConnectorsArranged {
        connectors {
          id
        }
      }
      ... on InvalidInput {
        message(locale: $locale)
      }
      ... on NotFound {
        message(locale: $locale)
      }
    }
  }
`);

// An empty list names no type, and yet a new connector changes it.
const CONTEXT = { additionalTypenames: ['Connector'] };

/** Why a change that was shown at once was undone: the sentence of the server, or the error that kept it from answering. */
export type Refusal = Readonly<{ sentence: string } | { error: CombinedError }>;

export type Connectors = Readonly<{
  connectors: readonly ConnectorData[] | null;
  error: CombinedError | undefined;
  reload: () => void;
  /** Null when the server took the change. */
  arrange: (ids: readonly string[]) => Promise<Refusal | null>;
  enable: (id: string, enabled: boolean) => Promise<Refusal | null>;
}>;

type Happening =
  | { type: 'read'; connectors: readonly ConnectorData[] }
  | { type: 'told'; connector: ConnectorData }
  | { type: 'arranged'; ids: readonly string[] }
  | { type: 'enabled'; id: string; enabled: boolean };

/** All connectors in panel order, live; what is changed here shows at once and is undone when the server refuses. */
export function useConnectors(): Connectors {
  const locale = useLanguage();
  const reconnections = useReconnections();
  const [connectors, happen] = useReducer(next, null);
  const [{ data, error }, ask] = useQuery({
    query: ConnectorsQuery,
    requestPolicy: 'cache-and-network',
    context: CONTEXT,
  });
  const [, sendArrangement] = useMutation(ArrangeConnectors);
  const [, sendUpdate] = useMutation(UpdateConnector);
  const reload = useCallback(() => ask({ requestPolicy: 'network-only' }), [ask]);

  useEffect(() => data && happen({ type: 'read', connectors: data.connectors }), [data]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each connection is a reason to look again
  useEffect(reload, [reload, reconnections]);
  useEvents(ConnectorHealth, {}, ({ connectorHealth }) => happen({ type: 'told', connector: connectorHealth }));

  const arrange = useCallback(
    async (ids: readonly string[]) => {
      const before = connectors?.map(({ id }) => id) ?? [];
      happen({ type: 'arranged', ids });
      const { data: answer, error: failure } = await sendArrangement({ ids: [...ids], locale });
      if (answer?.arrangeConnectors.__typename === 'ConnectorsArranged') {
        return null;
      }
      happen({ type: 'arranged', ids: before });
      return refusal(answer?.arrangeConnectors.message, failure);
    },
    [connectors, sendArrangement, locale],
  );

  const enable = useCallback(
    async (id: string, enabled: boolean) => {
      happen({ type: 'enabled', id, enabled });
      const { data: answer, error: failure } = await sendUpdate({ id, input: { enabled }, locale });
      const result = answer?.updateConnector;
      switch (result?.__typename) {
        case 'Connector':
          return null;
        case 'InvalidInput':
          happen({ type: 'enabled', id, enabled: !enabled });
          return refusal(result.problems.map(({ message }) => message).join(' '), failure);
        case 'NotFound':
          happen({ type: 'enabled', id, enabled: !enabled });
          return refusal(result.message, failure);
        case undefined:
          happen({ type: 'enabled', id, enabled: !enabled });
          return refusal(undefined, failure);
        default:
          return result satisfies never;
      }
    },
    [sendUpdate, locale],
  );

  return { connectors, error: connectors ? undefined : error, reload, arrange, enable };
}

function refusal(sentence: string | undefined, error: CombinedError | undefined): Refusal {
  return error ? { error } : { sentence: sentence ?? '' };
}

function next(connectors: readonly ConnectorData[] | null, happening: Happening): readonly ConnectorData[] | null {
  switch (happening.type) {
    case 'read':
      return happening.connectors;
    case 'told':
      return connectors && told(connectors, happening.connector);
    case 'arranged':
      return connectors && arranged(connectors, happening.ids);
    case 'enabled':
      return connectors?.map((one) => (one.id === happening.id ? { ...one, enabled: happening.enabled } : one)) ?? null;
  }
}

/** Health alone: what else is told with it may be older than a change that is under way here. */
function told(connectors: readonly ConnectorData[], { ...news }: ConnectorData): readonly ConnectorData[] {
  return connectors.some(({ id }) => id === news.id)
    ? connectors.map((one) => (one.id === news.id ? { ...one, health: news.health } : one))
    : [...connectors, news];
}

function arranged(connectors: readonly ConnectorData[], ids: readonly string[]): readonly ConnectorData[] {
  const place = new Map(ids.map((id, at) => [id, at]));
  const last = ids.length;
  return [...connectors].sort((one, other) => (place.get(one.id) ?? last) - (place.get(other.id) ?? last));
}
