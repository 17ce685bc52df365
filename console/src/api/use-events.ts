import type { AnyVariables, CombinedError, TypedDocumentNode } from '@urql/core';
import { useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';

/**
 * Hand each event of a subscription to `onEvent`, none merged and none twice.
 *
 * Returns the error that ended it, if one did; a lost connection is none, for the socket subscribes again by itself.
 */
export function useEvents<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  onEvent: (data: Data) => void,
): CombinedError | null {
  const client = useClient();
  const [error, setError] = useState<CombinedError | null>(null);
  const latest = useRef(onEvent);
  latest.current = onEvent;
  const key = JSON.stringify(variables);
  useEffect(() => {
    setError(null);
    const { unsubscribe } = client.subscription(document, JSON.parse(key) as Variables).subscribe((result) => {
      if (result.data) {
        latest.current(result.data);
      }
      if (result.error) {
        setError(result.error);
      }
    });
    return unsubscribe;
  }, [client, document, key]);
  return error;
}
