import type { Locale } from '../words/words.ts';

const STEPS = [
  { unit: 'minute', ms: 60_000, below: 60 },
  { unit: 'hour', ms: 3_600_000, below: 24 },
  { unit: 'day', ms: 86_400_000, below: 31 },
  { unit: 'month', ms: 2_629_800_000, below: 12 },
  { unit: 'year', ms: 31_557_600_000, below: Number.POSITIVE_INFINITY },
] as const;

const JUST_NOW = { cs: 'právě teď', en: 'just now' } as const;

/** How long ago, short: "před 2 h". What is under a minute old, or of a clock ahead of ours, is just now. */
export function ageOf(instant: Date, { now, locale }: { now: number; locale: Locale }): string {
  const elapsed = now - instant.getTime();
  const step = STEPS.find(({ ms, below }) => elapsed < ms * below);
  if (!step || elapsed < 60_000) {
    return JUST_NOW[locale];
  }
  const format = new Intl.RelativeTimeFormat(locale, { style: locale === 'cs' ? 'short' : 'narrow' });
  return format.format(-Math.floor(elapsed / step.ms), step.unit);
}

/** The local time to the second, in full. */
export function exactTime(instant: Date, locale: Locale): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'medium' }).format(instant);
}
