import { usePreferences, useWords } from '../preferences/preferences.ts';
import { inMilliseconds } from './duration.ts';
import styles from './sparkline.module.css';
import type { RecentLookup } from './use-recent-lookups.ts';
import { connectorWords } from './words.ts';

const BAR = 4;
const GAP = 2;
const PLACES = 30;
const HEIGHT = 28;
const LEAST = 6;
/** A fast endpoint's bars stay low: what is below this looks quick because it is. By the root of the time, so that one slow lookup does not flatten the rest. */
const SCALE_MS = 200;

const OUTCOMES = ['FOUND', 'NOT_FOUND', 'ERROR', 'TIMEOUT'] as const;

/** How long the last lookups took and how they ended, the newest on the right; in words for who does not see it. */
export function Sparkline({ lookups }: { lookups: readonly RecentLookup[] }) {
  const label = useLabel(lookups);
  const width = PLACES * (BAR + GAP) - GAP;
  const longest = Math.max(SCALE_MS, ...lookups.map(({ durationMs }) => durationMs ?? 0));
  return (
    <svg className={styles.sparkline} viewBox={`0 0 ${width} ${HEIGHT}`} width={width} height={HEIGHT} role="img">
      <title>{label}</title>
      <rect className={styles.ground} y={HEIGHT - 1} width={width} height={1} />
      {lookups.map(({ id, status, durationMs }, at) => {
        const height = Math.max(LEAST, Math.round(Math.sqrt((durationMs ?? 0) / longest) * HEIGHT));
        return (
          <rect
            key={id}
            data-status={status}
            x={(PLACES - lookups.length + at) * (BAR + GAP)}
            y={HEIGHT - height}
            width={BAR}
            height={height}
            rx={1}
          />
        );
      })}
    </svg>
  );
}

function useLabel(lookups: readonly RecentLookup[]): string {
  const words = useWords(connectorWords).recent;
  const { locale } = usePreferences();
  if (lookups.length === 0) {
    return words.none;
  }
  const outcomes = OUTCOMES.flatMap((outcome) => {
    const count = lookups.filter(({ status }) => status === outcome).length;
    return count > 0 ? [words.outcome[outcome](count)] : [];
  });
  return words.some(lookups.length, outcomes.join(', '), inMilliseconds(median(lookups), locale));
}

function median(lookups: readonly RecentLookup[]): number {
  const durations = lookups.map(({ durationMs }) => durationMs ?? 0).sort((one, other) => one - other);
  return durations[Math.floor((durations.length - 1) / 2)] ?? 0;
}
