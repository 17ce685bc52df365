import type { Client } from 'graphql-ws';
import { graphql } from '../api/graphql.ts';
import { type CrmPanelData, CrmPanelFragment } from '../panel/fragment.ts';
import { ask, hear } from './operation.ts';
import { type Trouble, troubleOf, UnknownTicket } from './trouble.ts';

const TicketQuery = graphql(
  `
    query EmbeddedTicket($ticketId: ID!) {
      ticket(id: $ticketId) { crmPanels { ...CrmPanel } }
    }
  `,
  [CrmPanelFragment],
);

const PanelsSubscription = graphql(
  `
    subscription EmbeddedPanels($ticketId: ID!) {
      crmPanels(ticketId: $ticketId) { ...CrmPanel }
    }
  `,
  [CrmPanelFragment],
);

export type Watcher = Readonly<{
  /** All panels in their order: the connection stands. */
  all: (panels: readonly CrmPanelData[]) => void;
  /** One of them as it is now, or one that is new. */
  one: (panel: CrmPanelData) => void;
  /** Whether to try again. */
  lost: (trouble: Trouble) => boolean;
}>;

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/** Watches a ticket's panels until the signal says that it is enough, through every loss of the connection. */
export async function watchTicket(
  client: Client,
  ticketId: string,
  watcher: Watcher,
  signal: AbortSignal,
): Promise<void> {
  let attempt = 0;
  const all = (panels: readonly CrmPanelData[]) => {
    attempt = 0;
    watcher.all(panels);
  };
  while (!signal.aborted) {
    try {
      await watchOnce(client, ticketId, { ...watcher, all }, signal);
    } catch (reason) {
      if (!signal.aborted && !watcher.lost(troubleOf(reason))) {
        return;
      }
    }
    await pause(attempt, signal);
    attempt += 1;
  }
}

/** Reads first, which starts the lookups of whoever opens a ticket; the events that follow are younger than what was read. */
async function watchOnce(client: Client, ticketId: string, { all, one }: Watcher, signal: AbortSignal): Promise<void> {
  const { ticket } = await ask(client, TicketQuery, { ticketId }, signal);
  if (signal.aborted) {
    return;
  }
  if (!ticket) {
    throw new UnknownTicket('There is no such ticket in this workspace.');
  }
  all(ticket.crmPanels);
  await hear(client, PanelsSubscription, { ticketId }, ({ crmPanels }) => signal.aborted || one(crmPanels), signal);
}

/** Twice as long each time, and never the same for two: they must not all return at once. */
function pause(attempt: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return new Promise((resolve) => {
    setTimeout(resolve, Math.random() * longest);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
