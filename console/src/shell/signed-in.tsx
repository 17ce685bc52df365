import { Button, Text } from '@radix-ui/themes';
import { useEffect, useState } from 'react';
import { Provider, useQuery } from 'urql';
import { Router } from 'wouter';
import { useHashLocation } from 'wouter/use-hash-location';
import { type Api, openApi } from '../api/api.ts';
import { ApiProvider } from '../api/context.tsx';
import { useWords } from '../preferences/preferences.ts';
import { signOut } from '../session/session.ts';
import { TicketsProvider } from '../tickets/tickets.tsx';
import { Frame } from './frame.tsx';
import styles from './signed-in.module.css';
import { Trouble } from './trouble.tsx';
import { ViewerProvider, ViewerQuery } from './viewer.tsx';
import { shellWords } from './words.ts';

const AGAIN_AFTER_MS = 5_000;

/** Everything behind the door, over one connection to the server. */
export function SignedIn({ token }: { token: string }) {
  const [api, setApi] = useState<Api | null>(null);
  useEffect(() => {
    const opened = openApi(token, () => signOut('revoked'));
    setApi(opened);
    return opened.close;
  }, [token]);
  if (!api) {
    return null;
  }
  return (
    <ApiProvider value={api}>
      <Provider value={api.client}>
        <Router hook={useHashLocation}>
          <Welcome />
        </Router>
      </Provider>
    </ApiProvider>
  );
}

function Welcome() {
  const words = useWords(shellWords);
  const [{ data, error }, ask] = useQuery({ query: ViewerQuery });
  useEffect(() => {
    if (!error) {
      return;
    }
    if (error.graphQLErrors.some((one) => one.extensions.code === 'FORBIDDEN')) {
      signOut('mail'); // the only role that may not even ask who it is
      return;
    }
    const again = setTimeout(() => ask({ requestPolicy: 'network-only' }), AGAIN_AFTER_MS);
    return () => clearTimeout(again);
  }, [error, ask]);
  if (data) {
    return (
      <ViewerProvider value={data.viewer}>
        <TicketsProvider>
          <Frame />
        </TicketsProvider>
      </ViewerProvider>
    );
  }
  return (
    <main className={styles.waiting}>
      {error ? (
        <>
          <Trouble error={error} onRetry={() => ask({ requestPolicy: 'network-only' })} />
          <Button variant="soft" color="gray" highContrast onClick={() => signOut('left')}>
            {words.signOut}
          </Button>
        </>
      ) : (
        <Text className={styles.patience}>{words.loading}</Text>
      )}
    </main>
  );
}
