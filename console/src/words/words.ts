/** The languages of the console. */
export type Locale = 'cs' | 'en';

/** The same words in every language; a word that one language lacks does not compile. */
export type Words<T> = Readonly<Record<Locale, T>>;

/** Words whose English side says which there are. */
export function bilingual<T>(en: T, cs: NoInfer<T>): Words<T> {
  return { en, cs };
}
