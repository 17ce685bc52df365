import { ageOf, exactTime } from '../panel/age.ts';
import { usePreferences } from '../preferences/preferences.ts';
import { useNow } from './now.ts';

/** How long ago something was, and exactly when for whoever points at it. */
export function Age({ at, className }: { at: string; className?: string | undefined }) {
  const { locale } = usePreferences();
  const now = useNow();
  const instant = new Date(at);
  return (
    <time dateTime={at} title={exactTime(instant, locale)} className={className}>
      {ageOf(instant, { now, locale })}
    </time>
  );
}
