import type { CombinedError } from '@urql/core';
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useReducer,
  useState,
} from 'react';
import { useClient } from 'urql';
import { useReconnections } from '../api/context.tsx';
import { graphql, type ResultOf } from '../api/graphql.ts';
import { useEvents } from '../api/use-events.ts';
import { TicketRowFragment } from './ticket-row.tsx';

const PAGE = 25;

const TicketsQuery = graphql(
  `
    query Tickets($first: Int!, $after: String) {
      tickets(first: $first, after: $after) {
        nodes {
          id
          number
          ...TicketRow
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [TicketRowFragment],
);

const TicketOpened = graphql(
  `
    subscription TicketOpened($after: Int) {
      ticketOpened(after: $after) {
        id
        number
        ...TicketRow
      }
    }
  `,
  [TicketRowFragment],
);

type Page = ResultOf<typeof TicketsQuery>['tickets'];
type Ticket = Page['nodes'][number];

/** The tickets as far as they are loaded; `arrived` came while the page was open, `unseen` counts those not looked at. */
export type TicketsState =
  | Readonly<{ state: 'loading' }>
  | Readonly<{ state: 'failed'; error: CombinedError }>
  | Readonly<{
      state: 'loaded';
      tickets: readonly Ticket[];
      after: string | null;
      loadingMore: boolean;
      arrived: ReadonlySet<string>;
      unseen: number;
    }>;

type Happening =
  | { type: 'failed'; error: CombinedError }
  | { type: 'first'; page: Page }
  | { type: 'older'; page: Page }
  | { type: 'loadingMore'; loading: boolean }
  | { type: 'opened'; ticket: Ticket }
  | { type: 'seen' };

function next(state: TicketsState, happening: Happening): TicketsState {
  if (state.state !== 'loaded') {
    switch (happening.type) {
      case 'failed':
        return { state: 'failed', error: happening.error };
      case 'first':
        return {
          state: 'loaded',
          tickets: happening.page.nodes,
          after: cursor(happening.page),
          loadingMore: false,
          arrived: new Set(),
          unseen: 0,
        };
      default:
        return state;
    }
  }
  switch (happening.type) {
    case 'failed': // what is here stays: the connection's light says that it may be old
      return { ...state, loadingMore: false };
    case 'first':
      return caughtUp(state, happening.page);
    case 'older':
      return {
        ...state,
        tickets: merged(state.tickets, happening.page.nodes),
        after: cursor(happening.page),
        loadingMore: false,
      };
    case 'loadingMore':
      return { ...state, loadingMore: happening.loading };
    case 'opened':
      return withArrivals(state, [happening.ticket]);
    case 'seen':
      return state.unseen === 0 ? state : { ...state, unseen: 0 };
  }
}

type Loaded = Extract<TicketsState, { state: 'loaded' }>;

/**
 * After a reconnect: what opened meanwhile joins what is here, unless more came than a page holds.
 *
 * What is newest here may have come live after the gap, so the other end of the page tells whether it reaches back far enough.
 */
function caughtUp(state: Loaded, page: Page): TicketsState {
  const known = new Set(state.tickets.map((ticket) => ticket.id));
  const oldest = page.nodes.at(-1);
  if (!page.pageInfo.hasNextPage || !oldest || known.has(oldest.id)) {
    return withArrivals(state, page.nodes);
  }
  const younger = state.tickets.filter((ticket) => ticket.number > oldest.number);
  const rest = { ...state, tickets: younger, after: cursor(page) };
  return withArrivals(rest, page.nodes);
}

function withArrivals(state: Loaded, tickets: readonly Ticket[]): Loaded {
  const known = new Set(state.tickets.map((ticket) => ticket.id));
  const added = tickets.filter((ticket) => !known.has(ticket.id));
  return added.length === 0
    ? state
    : {
        ...state,
        tickets: merged(added, state.tickets),
        arrived: new Set([...state.arrived, ...added.map((ticket) => ticket.id)]),
        unseen: state.unseen + added.length,
      };
}

function merged(one: readonly Ticket[], other: readonly Ticket[]): Ticket[] {
  const byId = new Map([...one, ...other].map((ticket) => [ticket.id, ticket]));
  return [...byId.values()].sort((left, right) => right.number - left.number);
}

function cursor(page: Page): string | null {
  return page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
}

type Tickets = Readonly<{
  list: TicketsState;
  loadMore: () => void;
  reload: () => void;
  seen: () => void;
}>;

const TicketsContext = createContext<Tickets | null>(null);

/** Loads the tickets once, keeps them while the agent moves about, and catches up after each reconnect. */
export function TicketsProvider({ children }: { children: ReactNode }) {
  const client = useClient();
  const connections = useReconnections();
  const [list, happen] = useReducer(next, { state: 'loading' });
  const [newest, setNewest] = useState<number | null>(null);

  const load = useCallback(
    async (after: string | null) => {
      const { data, error } = await client.query(
        TicketsQuery,
        { first: PAGE, after },
        { requestPolicy: 'network-only' },
      );
      if (data) {
        happen({ type: after === null ? 'first' : 'older', page: data.tickets });
        if (after === null) {
          setNewest(data.tickets.nodes[0]?.number ?? 0);
        }
      } else if (error) {
        happen({ type: 'failed', error });
      }
    },
    [client],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: each connection is a reason to look again
  useEffect(() => void load(null), [load, connections]);

  // Begins anew with each reading, behind the newest ticket that it brought: nothing falls between the two.
  useEvents(TicketOpened, { after: newest }, ({ ticketOpened }) => happen({ type: 'opened', ticket: ticketOpened }));

  const after = list.state === 'loaded' ? list.after : null;
  const loadMore = useCallback(() => {
    happen({ type: 'loadingMore', loading: true });
    void load(after);
  }, [load, after]);
  const reload = useCallback(() => void load(null), [load]);
  const seen = useCallback(() => happen({ type: 'seen' }), []);
  const tickets = useMemo(() => ({ list, loadMore, reload, seen }), [list, loadMore, reload, seen]);
  return <TicketsContext.Provider value={tickets}>{children}</TicketsContext.Provider>;
}

export function useTickets(): Tickets {
  const tickets = useContext(TicketsContext);
  if (!tickets) {
    throw new Error('there are no tickets here');
  }
  return tickets;
}
