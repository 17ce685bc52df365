import type { CombinedError } from '@urql/core';
import { useCallback, useEffect, useReducer } from 'react';
import { useMutation } from 'urql';
import { graphql } from '../api/graphql.ts';
import { useEvents } from '../api/use-events.ts';
import { type CrmPanelData, CrmPanelFragment } from '../panel/fragment.ts';

const CrmPanelsSubscription = graphql(
  `
    subscription CrmPanels($ticketId: ID!) {
      crmPanels(ticketId: $ticketId) {
        ...CrmPanel
      }
    }
  `,
  [CrmPanelFragment],
);

const RefreshLookup = graphql(`
  mutation RefreshLookup($ticketId: ID!, $connectorId: ID) {
    refreshLookup(ticketId: $ticketId, connectorId: $connectorId) {
      __typename
    }
  }
`);

type Panels = Readonly<{
  panels: readonly CrmPanelData[];
  /** Ask one connector again, or all; the panels tell what comes of it. */
  refresh: (connectorId: string | null) => void;
  error: CombinedError | null;
}>;

type Happening = { type: 'read'; panels: readonly CrmPanelData[] } | { type: 'changed'; panel: CrmPanelData };

/** A ticket's panels as they change: `read` came with the ticket, in panel order, and whatever is told live goes before it. */
export function usePanels(ticketId: string, read: readonly CrmPanelData[]): Panels {
  const [live, happen] = useReducer(next, EMPTY);
  const [refreshed, ask] = useMutation(RefreshLookup);
  const lost = useEvents(CrmPanelsSubscription, { ticketId }, ({ crmPanels }) =>
    happen({ type: 'changed', panel: crmPanels }),
  );
  useEffect(() => happen({ type: 'read', panels: read }), [read]);
  const refresh = useCallback((connectorId: string | null) => void ask({ ticketId, connectorId }), [ask, ticketId]);
  return { panels: [...live.values()], refresh, error: refreshed.error ?? lost };
}

const EMPTY: ReadonlyMap<string, CrmPanelData> = new Map();

function next(panels: ReadonlyMap<string, CrmPanelData>, happening: Happening): ReadonlyMap<string, CrmPanelData> {
  switch (happening.type) {
    case 'changed':
      return new Map(panels).set(happening.panel.id, happening.panel);
    case 'read': {
      // The order is that of the reading; what was told live is younger.
      const order = happening.panels.map((panel) => [panel.id, panels.get(panel.id) ?? panel] as const);
      return new Map([...order, ...panels]);
    }
  }
}
