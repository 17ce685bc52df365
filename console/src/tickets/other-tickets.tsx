import { Heading } from '@radix-ui/themes';
import { useQuery } from 'urql';
import { Link } from 'wouter';
import { graphql } from '../api/graphql.ts';
import { Age } from '../clock/age.tsx';
import { useWords } from '../preferences/preferences.ts';
import { legible } from '../words/legible.ts';
import styles from './other-tickets.module.css';
import { ticketWords } from './words.ts';

const AT_MOST = 6;

const TicketsOfRequester = graphql(`
  query TicketsOfRequester($email: String!, $first: Int!) {
    tickets(first: $first, requesterEmail: $email) {
      nodes {
        id
        number
        subject
        createdAt
      }
    }
  }
`);

/** What else the same requester wrote about, a click away. */
export function OtherTickets({ email, except }: { email: string; except: string }) {
  const words = useWords(ticketWords);
  const [{ data }] = useQuery({
    query: TicketsOfRequester,
    variables: { email, first: AT_MOST },
    requestPolicy: 'cache-and-network',
  });
  const others = data?.tickets.nodes.filter((ticket) => ticket.id !== except) ?? [];
  if (others.length === 0) {
    return null;
  }
  return (
    <section>
      <Heading as="h2" size="3" className={styles.title}>
        {words.others}
      </Heading>
      <ul className={styles.tickets}>
        {others.map(({ id, number, subject, createdAt }) => (
          <li key={id}>
            <Link href={`/tickets/${id}`} className={styles.ticket}>
              <span className={styles.number}>#{number}</span>
              <span className={styles.subject}>{subject === '' ? words.noSubject : legible(subject)}</span>
              <Age at={createdAt} className={styles.number} />
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
