import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './page.css';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { storedToken } from '../session/session.ts';
import { localStorage } from '../storage/storage.ts';
import { Bar } from './bar.tsx';
import { openFetcher } from './fetcher.ts';
import { newestTicketId } from './newest-ticket.ts';
import { preparedTabs } from './tabs.ts';

const TABS_OF_EARLIER_VISIT = 'graphiql:tabState';

const url = new URL('./graphql', location.href);
const token = storedToken();
const headers = { Authorization: `Bearer ${token ?? 'TOKEN'}` };
const known = localStorage.getItem(TABS_OF_EARLIER_VISIT) !== null;
const tabs = preparedTabs(token && !known ? await newestTicketId(url, token) : null);

createRoot(document.getElementById('root') as HTMLElement).render(
  <>
    <Bar signedIn={token !== null} />
    <GraphiQL
      fetcher={openFetcher(url, headers)}
      defaultEditorToolsVisibility="headers"
      defaultHeaders={JSON.stringify(headers, null, 2)}
      shouldPersistHeaders={false} // a token outlives no visit here
      defaultTabs={tabs}
      // GraphiQL leaves out the variables of the first tab; those of an earlier visit it knows.
      {...(known ? {} : { initialVariables: tabs[0].variables })}
    />
  </>,
);
