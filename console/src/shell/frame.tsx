import { PersonIcon } from '@radix-ui/react-icons';
import { DropdownMenu, IconButton, TabNav, Text } from '@radix-ui/themes';
import { lazy, Suspense, useRef } from 'react';
import { Link, Route, Switch, useLocation } from 'wouter';
import { useWords } from '../preferences/preferences.ts';
import { NewTicket } from '../tickets/new-ticket.tsx';
import { TicketList } from '../tickets/ticket-list.tsx';
import { TicketPage } from '../tickets/ticket-page.tsx';
import { useTickets } from '../tickets/tickets.tsx';
import { ticketWords } from '../tickets/words.ts';
import { AccountMenu } from './account-menu.tsx';
import { useArrival } from './arrival.ts';
import { ConnectionLight } from './connection-light.tsx';
import { Crash } from './crash.tsx';
import styles from './frame.module.css';
import { Logo } from './logo.tsx';
import { Notice } from './notice.tsx';
import { renewPage } from './release.ts';
import { useTitle } from './title.ts';
import { useViewer } from './viewer.tsx';
import { shellWords } from './words.ts';

const Settings = lazy(() => import('../connectors/settings.tsx').catch(renewPage));

/** Head, navigation and the page that the address names. */
export function Frame() {
  const words = useWords(shellWords);
  const viewer = useViewer();
  const [location] = useLocation();
  const unseen = useUnseen();
  const inSettings = location.startsWith('/settings');
  const content = useRef<HTMLElement>(null);
  useArrival(content);
  useTitle(inSettings ? words.settings : null);
  return (
    <div className={styles.frame}>
      {/* No link: the hash is the address of a page here. */}
      <button type="button" className={styles.skip} onClick={() => content.current?.focus()}>
        {words.skip}
      </button>
      <header className={styles.head}>
        <Link href="/" className={styles.home} aria-label={`Disqua, ${words.tickets}`}>
          <Logo />
        </Link>
        <TabNav.Root className={styles.tabs} aria-label={words.navigation}>
          <TabNav.Link asChild active={!inSettings}>
            <Link href="/">
              {words.tickets}
              {unseen > 0 && ` (${unseen})`}
            </Link>
          </TabNav.Link>
          {viewer.role === 'ADMIN' && (
            <TabNav.Link asChild active={inSettings}>
              <Link href="/settings">{words.settings}</Link>
            </TabNav.Link>
          )}
        </TabNav.Root>
        <span className={styles.state}>
          <ConnectionLight />
        </span>
        <Text size="2" className={styles.workspace} truncate>
          {viewer.workspace.name}
        </Text>
        <DropdownMenu.Root>
          <DropdownMenu.Trigger>
            <IconButton variant="soft" color="gray" highContrast radius="full" aria-label={words.account}>
              <PersonIcon />
            </IconButton>
          </DropdownMenu.Trigger>
          <AccountMenu />
        </DropdownMenu.Root>
      </header>
      <main ref={content} tabIndex={-1} className={styles.content}>
        <Crash place={location}>
          <Switch>
            <Route path="/" component={TicketList} />
            <Route path="/tickets/new" component={NewTicket} />
            <Route path="/tickets/:id">{({ id }) => <TicketPage key={id} id={id} />}</Route>
            <Route path="/settings/*?">
              {viewer.role === 'ADMIN' ? (
                <Suspense fallback={null}>
                  <Settings />
                </Suspense>
              ) : (
                <Notice title={words.adminsOnly} />
              )}
            </Route>
            <Route component={NoPage} />
          </Switch>
        </Crash>
      </main>
    </div>
  );
}

function NoPage() {
  const words = useWords(shellWords);
  useTitle(words.notFound);
  return (
    <Notice title={words.notFound}>
      <Link href="/">{words.backToTickets}</Link>
    </Notice>
  );
}

/** How many tickets opened that nobody looked at in this tab; the browser's tab says it over the list, too. */
function useUnseen(): number {
  const words = useWords(ticketWords);
  const { list } = useTickets();
  const [location] = useLocation();
  const unseen = list.state === 'loaded' ? list.unseen : 0;
  useTitle(location === '/' ? `${unseen > 0 ? `(${unseen}) ` : ''}${words.title}` : null);
  return unseen;
}
