import { Badge, Skeleton } from '@radix-ui/themes';
import { Link } from 'wouter';
import { type FragmentOf, graphql, readFragment } from '../api/graphql.ts';
import { Age } from '../clock/age.tsx';
import { useWords } from '../preferences/preferences.ts';
import { legible } from '../words/legible.ts';
import styles from './ticket-row.module.css';
import { ticketWords } from './words.ts';

export const TicketRowFragment = graphql(`
  fragment TicketRow on Ticket {
    id
    number
    subject
    automatic
    createdAt
    requester {
      email
      name
    }
  }
`);

/** One ticket of a list: who, what, when. */
export function TicketRow({ ticket, arrived }: { ticket: FragmentOf<typeof TicketRowFragment>; arrived: boolean }) {
  const words = useWords(ticketWords);
  const { id, number, subject, automatic, createdAt, requester } = readFragment(TicketRowFragment, ticket);
  return (
    <li className={styles.item} data-arrived={arrived || undefined}>
      <Link href={`/tickets/${id}`} className={styles.row} data-row>
        <span className={styles.number}>#{number}</span>
        <span className={styles.who} title={requester?.email}>
          {requester ? legible(requester.name ?? requester.email) : words.nobody}
        </span>
        <span className={styles.subject}>
          {subject === '' ? words.noSubject : legible(subject)}
          {automatic && (
            <>
              {' '}
              <Badge color="gray" highContrast title={words.automaticHelp}>
                {words.automatic}
              </Badge>
            </>
          )}
        </span>
        <Age className={styles.age} at={createdAt} />
      </Link>
    </li>
  );
}

/** The place of a ticket that is not here yet. */
export function TicketRowSkeleton() {
  return (
    <li className={styles.item}>
      <span className={styles.row}>
        <Skeleton className={styles.number} width="2rem" height="1rem" />
        <Skeleton className={styles.who} width="9rem" height="1rem" />
        <Skeleton className={styles.subject} width="60%" height="1rem" />
      </span>
    </li>
  );
}
