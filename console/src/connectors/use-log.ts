import type { CombinedError } from '@urql/core';
import { useCallback, useEffect, useReducer } from 'react';
import { useClient } from 'urql';
import { useReconnections } from '../api/context.tsx';
import { graphql, type ResultOf } from '../api/graphql.ts';
import { useLanguage } from '../api/language.ts';
import { useEvents } from '../api/use-events.ts';

const PAGE = 10;

export const LookupFragment = graphql(`
  fragment LogLine on Lookup @_unmask {
    id
    ticketId
    email
    trigger
    status
    httpStatus
    error {
      message(locale: $locale)
    }
    durationMs
    warnings {
      path
      expected
      received
    }
    requestedAt
    completedAt
    response
  }
`);

const LogQuery = graphql(
  `
    query Log($id: ID!, $first: Int!, $after: String, $locale: Locale!) {
      connector(id: $id) {
        id
        lookups(first: $first, after: $after) {
          nodes {
            ...LogLine
          }
          pageInfo {
            hasNextPage
            endCursor
          }
        }
      }
    }
  `,
  [LookupFragment],
);

const LiveLog = graphql(
  `
    subscription LiveLog($id: ID!, $newest: Int!, $locale: Locale!) {
      connectorLookups(id: $id, newest: $newest) {
        ...LogLine
      }
    }
  `,
  [LookupFragment],
);

export type LookupData = ResultOf<typeof LookupFragment>;
type Page = NonNullable<ResultOf<typeof LogQuery>['connector']>['lookups'];

/** The log as far as it is loaded, newest first. */
export type LogState =
  /** `heard` was told live before the first page came. */
  | Readonly<{ state: 'loading'; heard: readonly LookupData[] }>
  | Readonly<{ state: 'gone' }>
  | Readonly<{ state: 'failed'; error: CombinedError }>
  | Readonly<{ state: 'loaded'; lookups: readonly LookupData[]; after: string | null; loadingMore: boolean }>;

type Happening =
  | { type: 'failed'; error: CombinedError }
  | { type: 'gone' }
  | { type: 'first'; page: Page }
  | { type: 'older'; page: Page }
  | { type: 'loadingMore' }
  | { type: 'told'; lookup: LookupData };

/** A connector's log, live. After a reconnect it begins anew, so that nothing between is missing. */
export function useLog(id: string) {
  const client = useClient();
  const locale = useLanguage();
  const connections = useReconnections();
  const [log, happen] = useReducer(next, { state: 'loading', heard: [] });

  const load = useCallback(
    async (after: string | null) => {
      const { data, error } = await client.query(
        LogQuery,
        { id, first: PAGE, after, locale },
        { requestPolicy: 'network-only' },
      );
      if (data?.connector) {
        happen({ type: after === null ? 'first' : 'older', page: data.connector.lookups });
      } else {
        happen(error ? { type: 'failed', error } : { type: 'gone' });
      }
    },
    [client, id, locale],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: each connection is a reason to begin anew
  useEffect(() => void load(null), [load, connections]);
  useEvents(LiveLog, { id, newest: PAGE, locale }, ({ connectorLookups }) =>
    happen({ type: 'told', lookup: connectorLookups }),
  );

  const after = log.state === 'loaded' ? log.after : null;
  const loadMore = useCallback(() => {
    happen({ type: 'loadingMore' });
    void load(after);
  }, [load, after]);
  const reload = useCallback(() => void load(null), [load]);
  return { log, loadMore, reload };
}

function next(log: LogState, happening: Happening): LogState {
  switch (happening.type) {
    case 'failed': // what is here stays
      return log.state === 'loaded' ? { ...log, loadingMore: false } : { state: 'failed', error: happening.error };
    case 'gone':
      return { state: 'gone' };
    case 'first':
      return {
        state: 'loaded',
        lookups: merged(happening.page.nodes, heardSince(happening.page, log)),
        after: cursor(happening.page),
        loadingMore: false,
      };
    case 'older':
      return log.state === 'loaded'
        ? {
            state: 'loaded',
            lookups: merged(happening.page.nodes, log.lookups),
            after: cursor(happening.page),
            loadingMore: false,
          }
        : log;
    case 'loadingMore':
      return log.state === 'loaded' ? { ...log, loadingMore: true } : log;
    case 'told':
      return log.state === 'loaded'
        ? { ...log, lookups: merged(log.lookups, [happening.lookup]) }
        : { state: 'loading', heard: [...(log.state === 'loading' ? log.heard : []), happening.lookup] };
  }
}

/** What was told live is younger than a page that was read meanwhile; what lies before the page comes with the next one. */
function heardSince(page: Page, log: LogState): readonly LookupData[] {
  const known = log.state === 'loaded' ? log.lookups : log.state === 'loading' ? log.heard : [];
  const oldest = page.nodes.at(-1)?.id ?? '';
  return known.filter(({ id, completedAt }) => id >= oldest && completedAt !== null);
}

/** The later word on a lookup goes before; ids tell the order, being UUIDs of version 7. */
function merged(known: readonly LookupData[], later: readonly LookupData[]): LookupData[] {
  const byId = new Map([...known, ...later].map((lookup) => [lookup.id, lookup]));
  return [...byId.values()].sort((one, other) => (one.id > other.id ? -1 : 1));
}

function cursor(page: Page): string | null {
  return page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
}
