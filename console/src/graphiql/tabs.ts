type Tab = Readonly<{ query: string; variables: string }>;

const NO_TICKET = '00000000-0000-0000-0000-000000000000';

const TICKET_WITH_PANELS = `# A ticket, and what its panels show.
# Asks the CRMs without a fresh answer.
query TicketWithPanels($id: ID!) {
  ticket(id: $id) {
    number
    subject
    requester { name email }
    crmPanels {
      connectorName
      status
      refreshing
      stale
      badge(locale: EN) { text color }
      customer { name fields { key value } deepLink }
      error { code message httpStatus }
      fetchedAt
    }
  }
}
`;

const WATCH_PANELS = `# Every panel as it stands, then each again when it changes.
# Run it, then refresh a panel in the console.
subscription WatchPanels($ticketId: ID!) {
  crmPanels(ticketId: $ticketId) {
    connectorName
    status
    refreshing
    badge(locale: EN) { text color }
    customer { name fields { key value } }
    error { code message }
  }
}
`;

const ADD_CONNECTOR = `# For admins: how to ask one more CRM.
mutation AddConnector($input: CreateConnectorInput!) {
  createConnector(input: $input) {
    __typename
    ... on Connector { id name lookupUrl enabled position }
    ... on InvalidInput { message problems { field message } }
  }
}
`;

const NEW_CONNECTOR = {
  name: 'Billing',
  lookupUrl: 'https://crm.example/lookup',
  secretHeaderName: 'X-Disqua-Secret',
  secretHeaderValue: 'a long secret that your endpoint knows, too',
  linkTemplate: 'https://crm.example/customers/{customer_id}',
  cacheTtlHours: 24,
  enabled: false,
};

/** What a first visitor finds; `ticketId` is that of a ticket to try it with, if there is one. */
export function preparedTabs(ticketId: string | null): [Tab, Tab, Tab] {
  const id = ticketId ?? NO_TICKET;
  return [
    { query: TICKET_WITH_PANELS, variables: json({ id }) },
    { query: WATCH_PANELS, variables: json({ ticketId: id }) },
    { query: ADD_CONNECTOR, variables: json({ input: NEW_CONNECTOR }) },
  ];
}

function json(variables: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(variables, null, 2);
}
