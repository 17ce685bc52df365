import { Button, Skeleton, Text } from '@radix-ui/themes';
import { useState } from 'react';
import { useWords } from '../preferences/preferences.ts';
import { Notice } from '../shell/notice.tsx';
import { Trouble } from '../shell/trouble.tsx';
import type { ConnectorData } from './connector.ts';
import styles from './log.module.css';
import { LogLine } from './log-line.tsx';
import { logWords } from './log-words.ts';
import type { Status } from './status-badge.tsx';
import { type LogState, useLog } from './use-log.ts';
import { connectorWords } from './words.ts';

type Filter = Status | 'ALL';

const FILTERS = ['ALL', 'FOUND', 'NOT_FOUND', 'ERROR', 'TIMEOUT'] as const;

/** The newest lookups of a connector as they happen. */
export function Log({ connector }: { connector: ConnectorData }) {
  const words = useWords(logWords);
  const shared = useWords(connectorWords);
  const { log, loadMore, reload } = useLog(connector.id);
  const [filter, setFilter] = useState<Filter>('ALL');
  switch (log.state) {
    case 'loading':
      return <Skeleton className={styles.waiting} />;
    case 'gone':
      return <Notice title={shared.missing} />;
    case 'failed':
      return <Trouble error={log.error} onRetry={reload} />;
    case 'loaded':
      return log.lookups.length === 0 ? (
        <Notice title={words.empty}>
          <Text as="p">{words.emptyNext}</Text>
        </Notice>
      ) : (
        <div className={styles.log}>
          <Filters log={log} chosen={filter} onChoose={setFilter} />
          <Lines log={log} filter={filter} />
          {log.after !== null && (
            <div>
              <Button variant="soft" loading={log.loadingMore} onClick={loadMore}>
                {words.more}
              </Button>
            </div>
          )}
        </div>
      );
    default:
      return log satisfies never;
  }
}

type Loaded = Extract<LogState, { state: 'loaded' }>;

function Lines({ log, filter }: { log: Loaded; filter: Filter }) {
  const words = useWords(logWords);
  const shown = log.lookups.filter(({ status }) => filter === 'ALL' || status === filter);
  return shown.length === 0 ? (
    <Text as="p" size="2" color="gray" highContrast>
      {words.noneOfThese}
    </Text>
  ) : (
    <ul className={styles.lines}>
      {shown.map((lookup) => (
        <LogLine key={lookup.id} lookup={lookup} />
      ))}
    </ul>
  );
}

function Filters({ log, chosen, onChoose }: { log: Loaded; chosen: Filter; onChoose: (filter: Filter) => void }) {
  const words = useWords(logWords);
  const { status } = useWords(connectorWords);
  return (
    <fieldset className={styles.filters}>
      <legend className="visually-hidden">{words.filter}</legend>
      {FILTERS.map((filter) => {
        const count = log.lookups.filter((lookup) => lookup.status === filter).length;
        return (
          <Button
            key={filter}
            size="1"
            radius="full"
            variant={filter === chosen ? 'solid' : 'soft'}
            color={filter === chosen ? undefined : 'gray'}
            highContrast={filter !== chosen}
            aria-pressed={filter === chosen}
            onClick={() => onChoose(filter)}
          >
            {filter === 'ALL' ? words.all : `${status[filter]} ${count}`}
          </Button>
        );
      })}
    </fieldset>
  );
}
