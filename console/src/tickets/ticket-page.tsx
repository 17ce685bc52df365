import { ArrowLeftIcon } from '@radix-ui/react-icons';
import { Badge, Heading, Skeleton, Text } from '@radix-ui/themes';
import { useCallback, useEffect } from 'react';
import { useQuery } from 'urql';
import { Link, useLocation } from 'wouter';
import { graphql, type ResultOf } from '../api/graphql.ts';
import { Age } from '../clock/age.tsx';
import { CrmPanelFragment } from '../panel/fragment.ts';
import { useWords } from '../preferences/preferences.ts';
import { Notice } from '../shell/notice.tsx';
import { useTitle } from '../shell/title.ts';
import { Trouble } from '../shell/trouble.tsx';
import { typing } from '../shell/typing.ts';
import { legible } from '../words/legible.ts';
import { Conversation, MessagesFragment } from './conversation.tsx';
import { OtherTickets } from './other-tickets.tsx';
import styles from './ticket-page.module.css';
import { TicketPanels } from './ticket-panels.tsx';
import { useTickets } from './tickets.tsx';
import { ticketWords } from './words.ts';

const TicketQuery = graphql(
  `
    query Ticket($id: ID!) {
      ticket(id: $id) {
        id
        number
        subject
        automatic
        createdAt
        requester {
          email
          name
        }
        messages(first: 50) {
          ...Messages
        }
        crmPanels {
          ...CrmPanel
        }
      }
    }
  `,
  [MessagesFragment, CrmPanelFragment],
);

export type OpenTicket = NonNullable<ResultOf<typeof TicketQuery>['ticket']>;

/** One ticket: the conversation, and beside it who is writing. */
export function TicketPage({ id }: { id: string }) {
  const words = useWords(ticketWords);
  const [{ data, error, fetching }, ask] = useQuery({
    query: TicketQuery,
    variables: { id },
    requestPolicy: 'network-only', // reading it is what asks the connectors
  });
  const reread = useCallback(() => ask({ requestPolicy: 'network-only' }), [ask]);
  useTicketKeys();
  const ticket = data?.ticket;
  return (
    <>
      <Link href="/" className={styles.back}>
        <ArrowLeftIcon /> {words.back}
      </Link>
      {error && <Trouble error={error} onRetry={reread} />}
      {ticket ? <Loaded ticket={ticket} reread={reread} /> : fetching ? <Loading /> : data && <Missing />}
    </>
  );
}

function Loaded({ ticket, reread }: { ticket: OpenTicket; reread: () => void }) {
  const words = useWords(ticketWords);
  const { number, requester, automatic, createdAt } = ticket;
  const subject = ticket.subject === '' ? words.noSubject : legible(ticket.subject);
  useTitle(`#${number} ${subject}`);
  return (
    <>
      <header className={styles.head}>
        <Heading as="h1" size="5" className={styles.subject}>
          <span className={styles.number}>#{number}</span> {subject}
        </Heading>
        <Text as="p" size="2" color="gray" highContrast className={styles.who}>
          {requester ? (
            <>
              {requester.name && <strong>{legible(requester.name)} </strong>}
              <span className={styles.email}>{requester.email}</span>
            </>
          ) : (
            words.nobody
          )}
          {automatic && (
            <Badge color="gray" highContrast title={words.automaticHelp}>
              {words.automatic}
            </Badge>
          )}
          <Age at={createdAt} />
        </Text>
      </header>
      <div className={styles.columns}>
        <aside className={styles.side} aria-label={words.panels}>
          <TicketPanels ticket={ticket} reread={reread} />
          {requester && <OtherTickets email={requester.email} except={ticket.id} />}
        </aside>
        <Conversation ticketId={ticket.id} messages={ticket.messages} />
      </div>
    </>
  );
}

function Missing() {
  const words = useWords(ticketWords);
  useTitle(words.missing);
  return <Notice title={words.missing} />;
}

function Loading() {
  return (
    <div aria-busy="true">
      <header className={styles.head}>
        <Skeleton width="60%" height="1.75rem" />
      </header>
      <div className={styles.columns}>
        <aside className={styles.side}>
          <Skeleton height="10rem" />
        </aside>
        <Skeleton height="14rem" />
      </div>
    </div>
  );
}

/** J and K go to the next and the previous ticket of the list, Escape goes back to it. */
function useTicketKeys(): void {
  const [location, go] = useLocation();
  const { list } = useTickets();
  useEffect(() => {
    function press(event: KeyboardEvent) {
      if (typing(event)) {
        return;
      }
      const key = event.key.toLowerCase(); // Caps Lock
      if (key === 'escape' || key === 'u') {
        go('/');
      } else if ((key === 'j' || key === 'k') && list.state === 'loaded') {
        const here = list.tickets.findIndex((ticket) => location === `/tickets/${ticket.id}`);
        const neighbour = here === -1 ? undefined : list.tickets[here + (key === 'j' ? 1 : -1)];
        if (neighbour) {
          go(`/tickets/${neighbour.id}`);
        }
      }
    }
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, [location, go, list]);
}
