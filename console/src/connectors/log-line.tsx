import { ChevronRightIcon } from '@radix-ui/react-icons';
import { Text } from '@radix-ui/themes';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { Age } from '../clock/age.tsx';
import { exactTime } from '../panel/age.ts';
import { usePreferences, useWords } from '../preferences/preferences.ts';
import { inMilliseconds } from './duration.ts';
import styles from './log-line.module.css';
import { logWords } from './log-words.ts';
import { prettyJson } from './pretty-json.ts';
import { SourceText } from './source-text.tsx';
import { StatusBadge } from './status-badge.tsx';
import type { LookupData } from './use-log.ts';
import { Warnings } from './warnings.tsx';
import { connectorWords } from './words.ts';

/** One lookup; opened it tells everything. */
export function LogLine({ lookup }: { lookup: LookupData }) {
  const { warnings } = useWords(connectorWords);
  const { locale } = usePreferences();
  const [open, setOpen] = useState(false);
  return (
    <li className={styles.line}>
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary className={styles.summary}>
          <ChevronRightIcon className={styles.chevron} />
          <span className={styles.status}>
            <StatusBadge status={lookup.status} />
          </span>
          <span className={styles.email}>{lookup.email}</span>
          {lookup.warnings.length > 0 && (
            <Text size="1" className={styles.warnings}>
              {warnings(lookup.warnings.length)}
            </Text>
          )}
          <Text size="1" className={styles.duration}>
            {lookup.durationMs !== null && inMilliseconds(lookup.durationMs, locale)}
          </Text>
          <Text size="1" className={styles.age}>
            <Age at={lookup.requestedAt} />
          </Text>
        </summary>
        {open && <Everything lookup={lookup} />}
      </details>
    </li>
  );
}

function Everything({ lookup }: { lookup: LookupData }) {
  const words = useWords(logWords);
  const { locale } = usePreferences();
  const time = (instant: string) => exactTime(new Date(instant), locale);
  return (
    <div className={styles.everything}>
      {lookup.error && (
        <Text as="p" size="2">
          {lookup.error.message}
        </Text>
      )}
      <dl className={styles.facts}>
        <Fact name={words.asked}>{words.trigger[lookup.trigger]}</Fact>
        {lookup.ticketId !== null && (
          <Fact name={words.ticket}>
            <Link href={`/tickets/${lookup.ticketId}`}>{words.openTicket}</Link>
          </Fact>
        )}
        <Fact name={words.address}>{lookup.email}</Fact>
        <Fact name={words.requestedAt}>{time(lookup.requestedAt)}</Fact>
        <Fact name={words.completedAt}>{lookup.completedAt ? time(lookup.completedAt) : words.underWay}</Fact>
        {lookup.durationMs !== null && <Fact name={words.duration}>{inMilliseconds(lookup.durationMs, locale)}</Fact>}
        <Fact name={words.httpStatus}>{lookup.httpStatus ?? words.none}</Fact>
      </dl>
      <Warnings warnings={lookup.warnings} />
      {lookup.response ? (
        <SourceText title={words.response} text={prettyJson(lookup.response)} />
      ) : (
        <Text as="p" size="2" color="gray" highContrast>
          {words.noResponse}
        </Text>
      )}
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>
        <Text size="1" color="gray" highContrast>
          {name}
        </Text>
      </dt>
      <dd>{children}</dd>
    </div>
  );
}
