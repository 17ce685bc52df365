import type { Locale } from '../words/words.ts';

/** The language that was asked for, else the page's, else the browser's. */
export function localeOf(asked: string | null): Locale {
  const wished = asked || document.documentElement.lang || navigator.language;
  return /^(cs|sk)\b/i.test(wished) ? 'cs' : 'en'; // Slovaks read Czech more easily than English
}
