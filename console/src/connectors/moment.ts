import type { Locale } from '../words/words.ts';

/** A day and a time of day, short: when something ends. */
export function moment(instant: string, locale: Locale): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(instant));
}
