import { Heading, Skeleton, TabNav, Text } from '@radix-ui/themes';
import { useEffect } from 'react';
import { useQuery } from 'urql';
import { Link, useLocation } from 'wouter';
import { useReconnections } from '../api/context.tsx';
import { graphql } from '../api/graphql.ts';
import { useWords } from '../preferences/preferences.ts';
import { Notice } from '../shell/notice.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { type ConnectorData, ConnectorFragment, hostOf } from './connector.ts';
import { ConnectorForm } from './connector-form.tsx';
import styles from './connector-page.module.css';
import { Credentials } from './credentials.tsx';
import { Deletion } from './deletion.tsx';
import type { Errand } from './errand.ts';
import { HealthBadge } from './health.tsx';
import { Log } from './log.tsx';
import { TestPage } from './test-page.tsx';
import { connectorWords } from './words.ts';

const ConnectorQuery = graphql(
  `
    query Connector($id: ID!) {
      connector(id: $id) {
        ...ConnectorSettings
      }
    }
  `,
  [ConnectorFragment],
);

type Errands = Readonly<{ errand: Errand | null; onErrand: (errand: Errand | null) => void }>;

/** One connector: its settings, a test, its log. */
export function ConnectorPage({ id, part, ...errands }: Errands & { id: string; part: string | undefined }) {
  const words = useWords(connectorWords);
  const reconnections = useReconnections();
  const [{ data, error, stale }, ask] = useQuery({
    query: ConnectorQuery,
    variables: { id },
    requestPolicy: 'cache-and-network',
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: each connection is a reason to look again
  useEffect(() => ask({ requestPolicy: 'network-only' }), [ask, reconnections]);
  if (data?.connector) {
    return (
      <div className={styles.page}>
        <Head connector={data.connector} part={part} />
        <Part connector={data.connector} part={part} {...errands} />
      </div>
    );
  }
  if (data && !stale) {
    return (
      <Notice title={words.missing}>
        <Link href="/settings">{words.back}</Link>
      </Notice>
    );
  }
  return error ? (
    <Trouble error={error} onRetry={() => ask({ requestPolicy: 'network-only' })} />
  ) : (
    <div className={styles.page} aria-busy="true">
      <Skeleton className={styles.waitingTitle} />
      <Skeleton className={styles.waiting} />
    </div>
  );
}

function Head({ connector, part }: { connector: ConnectorData; part: string | undefined }) {
  const words = useWords(connectorWords);
  const path = `/settings/${connector.id}`;
  return (
    <header>
      <Link href="/settings" className={styles.back}>
        ← {words.back}
      </Link>
      <div className={styles.title}>
        <Heading as="h1" size="5">
          {connector.name}
        </Heading>
        <HealthBadge connector={connector} />
      </div>
      <Text as="p" size="2" color="gray" highContrast truncate>
        {hostOf(connector.lookupUrl)}
      </Text>
      <TabNav.Root className={styles.tabs} aria-label={words.parts}>
        <TabNav.Link asChild active={part === undefined}>
          <Link href={path}>{words.settings}</Link>
        </TabNav.Link>
        <TabNav.Link asChild active={part === 'test'}>
          <Link href={`${path}/test`}>{words.test}</Link>
        </TabNav.Link>
        <TabNav.Link asChild active={part === 'log'}>
          <Link href={`${path}/log`}>{words.log}</Link>
        </TabNav.Link>
      </TabNav.Root>
    </header>
  );
}

function Part({ connector, part, errand, onErrand }: Errands & { connector: ConnectorData; part: string | undefined }) {
  const { missing } = useWords(connectorWords);
  const [, go] = useLocation();
  switch (part) {
    case undefined:
      return (
        <>
          <ConnectorForm
            connector={connector}
            onSaved={(saved, email) => {
              if (email !== null) {
                onErrand({ connectorId: saved.id, email, thenEnable: false });
                go(`/settings/${saved.id}/test`);
              }
            }}
          />
          <Credentials connector={connector} />
          <Deletion connector={connector} />
        </>
      );
    case 'test':
      return (
        <TestPage
          connector={connector}
          errand={errand?.connectorId === connector.id ? errand : null}
          onErrandTaken={() => onErrand(null)}
        />
      );
    case 'log':
      return <Log connector={connector} />;
    default:
      return <Notice title={missing} />;
  }
}
