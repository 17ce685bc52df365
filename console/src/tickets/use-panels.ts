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

/**
 * A ticket's panels as they change: `read` came with the ticket, in panel order, and whatever is told live goes before it.
 *
 * Nobody tells that a connector is gone: refreshing its panel does, and `reread` leaves it out.
 */
export function usePanels(
  ticketId: string,
  { read, reread }: Readonly<{ read: readonly CrmPanelData[]; reread: () => void }>,
): Panels {
  const [live, happen] = useReducer(next, read, (panels) => next(new Map(), { type: 'read', panels }));
  const [refreshed, ask] = useMutation(RefreshLookup);
  const lost = useEvents(CrmPanelsSubscription, { ticketId }, ({ crmPanels }) =>
    happen({ type: 'changed', panel: crmPanels }),
  );
  useEffect(() => happen({ type: 'read', panels: read }), [read]);
  const refresh = useCallback(
    async (connectorId: string | null) => {
      const { data } = await ask({ ticketId, connectorId });
      if (data?.refreshLookup.__typename === 'NotFound') {
        reread();
      }
    },
    [ask, ticketId, reread],
  );
  return { panels: [...live.values()], refresh, error: refreshed.error ?? lost };
}

function next(panels: ReadonlyMap<string, CrmPanelData>, happening: Happening): ReadonlyMap<string, CrmPanelData> {
  switch (happening.type) {
    case 'changed':
      return new Map(panels).set(happening.panel.id, happening.panel);
    case 'read': {
      // Which there are and in what order is that of the reading; what was told live is younger.
      return new Map(happening.panels.map((panel) => [panel.id, panels.get(panel.id) ?? panel]));
    }
  }
}
