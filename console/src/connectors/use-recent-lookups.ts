import { useMemo, useRef, useState } from 'react';
import { graphql, type ResultOf } from '../api/graphql.ts';
import { useEvents } from '../api/use-events.ts';

const MOST = 30;

const RecentLookups = graphql(`
  subscription RecentLookups($id: ID!, $newest: Int!) {
    connectorLookups(id: $id, newest: $newest) {
      id
      status
      durationMs
    }
  }
`);

export type RecentLookup = ResultOf<typeof RecentLookups>['connectorLookups'];

/**
 * How the last lookups of a connector ended, oldest first; those under way are left out.
 *
 * `onEnd` hears each that ended, at the beginning those of before, too: a quick one is first told when it has ended.
 */
export function useRecentLookups(id: string, onEnd: () => void): readonly RecentLookup[] {
  const [lookups, setLookups] = useState<ReadonlyMap<string, RecentLookup>>(new Map());
  const ended = useRef(new Set<string>());
  useEvents(RecentLookups, { id, newest: MOST }, ({ connectorLookups: lookup }) => {
    setLookups((known) => new Map(known).set(lookup.id, lookup));
    if (lookup.status !== 'PENDING' && !ended.current.has(lookup.id)) {
      ended.current.add(lookup.id);
      onEnd();
    }
  });
  return useMemo(() => newest(lookups), [lookups]);
}

/** Ids tell the order: they are UUIDs of version 7. */
function newest(lookups: ReadonlyMap<string, RecentLookup>): RecentLookup[] {
  return [...lookups.values()]
    .filter(({ status }) => status !== 'PENDING')
    .sort((one, other) => (one.id < other.id ? -1 : 1))
    .slice(-MOST);
}
