import { print } from 'graphql';
import { graphql, type ResultOf } from '../api/graphql.ts';

const NewestTicket = graphql(`
  query NewestTicket {
    tickets(first: 1) { nodes { id } }
  }
`);

type Answer = Readonly<{ data?: ResultOf<typeof NewestTicket> | null }>;

/** A ticket to try things out with; null where there is none, or whoever asks may not see it. */
export async function newestTicketId(url: URL, token: string): Promise<string | null> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query: print(NewestTicket) }),
    });
    const answer: Answer = await response.json();
    return answer.data?.tickets.nodes[0]?.id ?? null;
  } catch {
    return null; // the page is of use without it
  }
}
