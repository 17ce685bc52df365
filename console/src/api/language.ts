import { usePreferences } from '../preferences/preferences.ts';

/** The language in which the server is asked to word its sentences. */
export function useLanguage(): 'CS' | 'EN' {
  return usePreferences().locale === 'cs' ? 'CS' : 'EN';
}
