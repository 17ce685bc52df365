import { Badge, Text } from '@radix-ui/themes';
import type { ReactNode } from 'react';
import { Age } from '../clock/age.tsx';
import { usePreferences, useWords } from '../preferences/preferences.ts';
import type { Locale } from '../words/words.ts';
import type { ConnectorData, HealthData } from './connector.ts';
import { inMilliseconds } from './duration.ts';
import styles from './health.module.css';
import { connectorWords } from './words.ts';

type HealthWords = (typeof connectorWords)['en']['health'];

const COLORS = { WORKING: 'green', FAILING: 'red', PAUSED: 'yellow' } as const;

/** How the endpoint of a connector fares, in one word. */
export function HealthBadge({ connector: { enabled, health } }: { connector: ConnectorData }) {
  const words = useWords(connectorWords);
  if (!enabled) {
    return (
      <Badge color="gray" highContrast>
        {words.disabled}
      </Badge>
    );
  }
  const unasked = health.state === 'WORKING' && health.lastSuccessAt === null;
  return (
    <Badge color={unasked ? 'gray' : COLORS[health.state]} highContrast>
      {unasked ? words.health.idle : words.health.state[health.state]}
    </Badge>
  );
}

/** The same with what there is to know of it. */
export function Health({ connector }: { connector: ConnectorData }) {
  const words = useWords(connectorWords).health;
  const { locale } = usePreferences();
  const facts = factsOf(connector.health, words, locale);
  return (
    <div className={styles.health}>
      <HealthBadge connector={connector} />
      {facts.length > 0 && (
        <Text as="div" size="1" color="gray" highContrast className={styles.facts}>
          {facts.map(([key, fact]) => (
            <span key={key}>{fact}</span>
          ))}
        </Text>
      )}
    </div>
  );
}

function factsOf(health: HealthData, words: HealthWords, locale: Locale): (readonly [string, ReactNode])[] {
  const { state, failuresInARow, nextProbeAt, lastSuccessAt, p50Ms, p95Ms } = health;
  const facts: (readonly [string, ReactNode])[] = [];
  if (state !== 'WORKING') {
    facts.push([
      'since',
      <>
        {words.since[state]} <Age at={health.since} />
      </>,
    ]);
    facts.push(['failures', words.failures(failuresInARow)]);
  }
  if (nextProbeAt !== null) {
    facts.push(['probe', words.nextProbe(timeOfDay(nextProbeAt, locale))]);
  }
  if (lastSuccessAt !== null) {
    facts.push([
      'success',
      <>
        {words.lastSuccess} <Age at={lastSuccessAt} />
      </>,
    ]);
  }
  if (p50Ms !== null && p95Ms !== null) {
    facts.push(['pace', words.pace(inMilliseconds(p50Ms, locale), inMilliseconds(p95Ms, locale))]);
  }
  return facts;
}

function timeOfDay(instant: string, locale: Locale): string {
  return new Intl.DateTimeFormat(locale, { timeStyle: 'short' }).format(new Date(instant));
}
