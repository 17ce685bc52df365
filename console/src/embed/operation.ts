import type { TadaDocumentNode } from 'gql.tada';
import { print } from 'graphql';
import type { Client } from 'graphql-ws';
import { Refusal } from './trouble.ts';

/** The one answer of a query or a mutation. */
export async function ask<Data, Variables extends Record<string, unknown>>(
  client: Client,
  document: TadaDocumentNode<Data, Variables>,
  variables: Variables,
  signal: AbortSignal,
): Promise<Data> {
  const answers: Data[] = [];
  await hear(client, document, variables, (data) => answers.push(data), signal);
  const [answer] = answers;
  if (answer === undefined) {
    throw new Refusal('INTERNAL', 'The server gave no answer.');
  }
  return answer;
}

/** Hears each event until there are no more; ends in silence where the signal says so. */
export function hear<Data, Variables extends Record<string, unknown>>(
  client: Client,
  document: TadaDocumentNode<Data, Variables>,
  variables: Variables,
  next: (data: Data) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = client.subscribe<Data>(
      { query: print(document), variables },
      {
        next: ({ data, errors }) => (data && !errors ? next(data) : reject(refusalOf(errors))),
        error: (reason) => reject(Array.isArray(reason) ? refusalOf(reason) : reason),
        complete: resolve,
      },
    );
    signal.addEventListener('abort', stop, { once: true });
  });
}

type Complaint = Readonly<{ message: string; extensions?: Readonly<Record<string, unknown>> | undefined }>;

function refusalOf(complaints: readonly Complaint[] | undefined): Refusal {
  const [first] = complaints ?? [];
  return new Refusal(String(first?.extensions?.code ?? 'INTERNAL'), first?.message ?? 'The server gave no answer.');
}
