import type { Locale } from './words.ts';

/** The forms that a counted noun takes (Unicode CLDR): English knows one and other, Czech also few. */
type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** A number with its noun: "3 tickety". */
export function counted(locale: Locale, count: number, forms: Forms): string {
  const noun = forms[new Intl.PluralRules(locale).select(count)] ?? forms.other;
  return `${new Intl.NumberFormat(locale).format(count)}\u00a0${noun}`;
}
