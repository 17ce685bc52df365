import { PlusIcon } from '@radix-ui/react-icons';
import { Button, Heading } from '@radix-ui/themes';
import { useEffect, useRef } from 'react';
import { Link } from 'wouter';
import { useWords } from '../preferences/preferences.ts';
import { Keys } from '../shell/keys.tsx';
import { Notice } from '../shell/notice.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useViewer } from '../shell/viewer.tsx';
import styles from './ticket-list.module.css';
import { TicketRow, TicketRowSkeleton } from './ticket-row.tsx';
import { type TicketsState, useTickets } from './tickets.tsx';
import { useListKeys } from './use-list-keys.ts';
import { ticketWords } from './words.ts';

/** Every ticket, newest first; new ones slide in. */
export function TicketList() {
  const words = useWords(ticketWords);
  const { list, loadMore, reload, seen } = useTickets();
  const rows = useRef<HTMLUListElement>(null);
  useListKeys(rows);
  useSeen(list, seen);
  return (
    <>
      <div className={styles.head}>
        <Heading as="h1" size="5">
          {words.title}
        </Heading>
        <Button asChild>
          <Link href="/tickets/new">
            <PlusIcon /> {words.newTicket}
          </Link>
        </Button>
      </div>
      {list.state === 'failed' && <Trouble error={list.error} onRetry={reload} />}
      {list.state === 'loading' && (
        <ul className={styles.rows} aria-busy="true">
          <TicketRowSkeleton />
          <TicketRowSkeleton />
          <TicketRowSkeleton />
        </ul>
      )}
      {list.state === 'loaded' && list.tickets.length === 0 && <NoTickets />}
      {list.state === 'loaded' && list.tickets.length > 0 && (
        <>
          <ul className={styles.rows} ref={rows}>
            {list.tickets.map((ticket) => (
              <TicketRow key={ticket.id} ticket={ticket} arrived={list.arrived.has(ticket.id)} />
            ))}
          </ul>
          <div className={styles.foot}>
            {list.after !== null && (
              <Button variant="soft" loading={list.loadingMore} onClick={loadMore}>
                {words.more}
              </Button>
            )}
            <Keys
              keys={[
                [['J', 'K'], words.keys.move],
                [['Enter'], words.keys.open],
                [['N'], words.keys.create],
              ]}
            />
          </div>
        </>
      )}
    </>
  );
}

/** What is on the screen counts as seen, unless the tab is in the background. */
function useSeen(list: TicketsState, seen: () => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: each change of the list is a reason to look
  useEffect(() => {
    const look = () => document.hidden || seen();
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [list, seen]);
}

function NoTickets() {
  const words = useWords(ticketWords);
  const [address] = useViewer().workspace.supportAddresses;
  return (
    <Notice title={words.empty}>
      <span>{address ? words.emptyNext(address) : words.emptyNextWithoutAddress}</span>
    </Notice>
  );
}
