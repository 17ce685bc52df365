import type { Locale } from '../words/words.ts';

/** "120 ms" */
export function inMilliseconds(ms: number, locale: Locale): string {
  return new Intl.NumberFormat(locale, { style: 'unit', unit: 'millisecond' }).format(ms);
}
