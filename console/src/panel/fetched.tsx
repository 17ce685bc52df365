import type { Locale } from '../words/words.ts';
import { ageOf, exactTime } from './age.ts';
import { panelWords } from './words.ts';

/** How old an answer is; exactly when it came, on hover. */
export function Fetched({ at, now, locale }: { at: string; now: number; locale: Locale }) {
  const instant = new Date(at);
  return (
    <time
      className="disqua-age"
      part="age"
      dateTime={at}
      title={panelWords[locale].fetched(exactTime(instant, locale))}
    >
      {ageOf(instant, { now, locale })}
    </time>
  );
}
