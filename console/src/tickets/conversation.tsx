import { Badge, Button, Callout, Heading } from '@radix-ui/themes';
import { useState } from 'react';
import { useClient } from 'urql';
import { type FragmentOf, graphql, type ResultOf, readFragment } from '../api/graphql.ts';
import { Age } from '../clock/age.tsx';
import { useWords } from '../preferences/preferences.ts';
import { legible } from '../words/legible.ts';
import styles from './conversation.module.css';
import { ticketWords } from './words.ts';

export const MessagesFragment = graphql(`
  fragment Messages on MessageConnection {
    nodes {
      id
      text
      receivedAt
      senderVerification
      sender {
        email
        name
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
`);

const MoreMessages = graphql(
  `
    query MoreMessages($id: ID!, $after: String) {
      ticket(id: $id) {
        messages(first: 50, after: $after) {
          ...Messages
        }
      }
    }
  `,
  [MessagesFragment],
);

type Page = ResultOf<typeof MessagesFragment>;

/** What was written, oldest first; as text, for a mail is a stranger's. */
export function Conversation({
  ticketId,
  messages,
}: {
  ticketId: string;
  messages: FragmentOf<typeof MessagesFragment>;
}) {
  const words = useWords(ticketWords);
  const client = useClient();
  const first = readFragment(MessagesFragment, messages);
  const [further, setFurther] = useState<readonly Page[]>([]);
  const last = further.at(-1) ?? first;

  async function loadMore() {
    const { data } = await client.query(MoreMessages, { id: ticketId, after: last.pageInfo.endCursor });
    if (data?.ticket) {
      setFurther([...further, readFragment(MessagesFragment, data.ticket.messages)]);
    }
  }

  return (
    <section className={styles.conversation} aria-label={words.conversation}>
      <Heading as="h2" size="3" className={styles.title}>
        {words.conversation}
      </Heading>
      <ol className={styles.messages}>
        {[first, ...further]
          .flatMap((page) => page.nodes)
          .map((message) => (
            <Message key={message.id} message={message} />
          ))}
      </ol>
      {last.pageInfo.hasNextPage && (
        <Button variant="soft" onClick={loadMore}>
          {words.olderMessages}
        </Button>
      )}
    </section>
  );
}

function Message({ message }: { message: Page['nodes'][number] }) {
  const words = useWords(ticketWords);
  const { sender, senderVerification, text, receivedAt } = message;
  return (
    <li className={styles.message}>
      <div className={styles.head}>
        <span className={styles.sender}>{sender ? legible(sender.name ?? sender.email) : words.nobody}</span>
        {senderVerification === 'VERIFIED' && (
          <Badge color="green" title={words.verification.VERIFIED}>
            {words.verified}
          </Badge>
        )}
        {senderVerification === 'FAILED' && <Badge color="red">{words.disowned}</Badge>}
        <Age at={receivedAt} className={styles.age} />
      </div>
      {senderVerification === 'FAILED' && (
        <Callout.Root color="red" size="1" highContrast>
          <Callout.Text>{words.verification.FAILED}</Callout.Text>
        </Callout.Root>
      )}
      <p className={styles.text}>{text}</p>
    </li>
  );
}
