import { useState } from 'react';
import { useQuery } from 'urql';
import { graphql } from '../api/graphql.ts';

const RecentRequesters = graphql(`
  query RecentRequesters {
    tickets(first: 10) {
      nodes {
        id
        requester {
          email
        }
      }
    }
  }
`);

/** An address to try a connector with: whoever wrote last, until another is typed. */
export function useTrialAddress(): readonly [email: string, type: (email: string) => void] {
  const [{ data }] = useQuery({ query: RecentRequesters });
  const [typed, type] = useState<string | null>(null);
  const requester = data?.tickets.nodes.find((ticket) => ticket.requester !== null)?.requester;
  return [typed ?? requester?.email ?? '', type];
}
