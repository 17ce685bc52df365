import { createGraphiQLFetcher, type Fetcher, type FetcherParams } from '@graphiql/toolkit';
import { type DocumentNode, Kind, parse } from 'graphql';

/** Asks over HTTP and watches over a socket. GraphiQL asks for the schema before its headers can be read: then these hold. */
export function openFetcher(url: URL, headers: Readonly<Record<string, string>>): Fetcher {
  const subscriptionUrl = new URL(url);
  subscriptionUrl.protocol = url.protocol.replace('http', 'ws');
  const fetcher = createGraphiQLFetcher({ url: url.href, subscriptionUrl: subscriptionUrl.href });
  return (operation, options) => {
    const sent = { ...options, headers: options?.headers ?? headers };
    const document = parsed(operation.query);
    return document
      ? fetcher(rightlyNamed(operation, document), { ...sent, documentAST: document })
      : fetcher(operation, sent);
  };
}

/** The document, or nothing where it has a mistake: what that is, the server says. */
function parsed(query: string): DocumentNode | null {
  try {
    return parse(query);
  } catch {
    return null;
  }
}

/** GraphiQL learns the name of another tab's operation a moment late; whoever is quick would be told that it is unknown. */
function rightlyNamed(operation: FetcherParams, document: DocumentNode): FetcherParams {
  const names = document.definitions.flatMap((one) =>
    one.kind === Kind.OPERATION_DEFINITION ? [one.name?.value] : [],
  );
  return names.includes(operation.operationName ?? undefined) ? operation : { ...operation, operationName: names[0] };
}
