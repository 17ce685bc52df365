import { useSyncExternalStore } from 'react';
import { localStorage } from '../storage/storage.ts';
import type { Locale, Words } from '../words/words.ts';

export type Theme = 'system' | 'light' | 'dark';

export type Preferences = Readonly<{ locale: Locale; theme: Theme }>;

const KEY = 'disqua.preferences';
const listeners = new Set<() => void>();
let current = read();

/** What this browser prefers; kept across visits, the same in every tab. */
export function usePreferences(): Preferences {
  return useSyncExternalStore(listen, () => current);
}

/** Change some of them and keep the change. */
export function prefer(changes: Partial<Preferences>): void {
  localStorage.setItem(KEY, JSON.stringify({ ...current, ...changes }));
  reread();
}

/** The words in the language that is preferred. */
export function useWords<T>(words: Words<T>): T {
  return words[usePreferences().locale];
}

/** Whether to show the dark theme, the system's wish considered. */
export function useDark(): boolean {
  const { theme } = usePreferences();
  const systemIsDark = useSyncExternalStore(listenToSystem, () => systemTheme.matches);
  return theme === 'system' ? systemIsDark : theme === 'dark';
}

const systemTheme = matchMedia('(prefers-color-scheme: dark)');

function listenToSystem(changed: () => void): () => void {
  systemTheme.addEventListener('change', changed);
  return () => systemTheme.removeEventListener('change', changed);
}

function listen(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

function read(): Preferences {
  const stored = parse(localStorage.getItem(KEY));
  return {
    locale: stored.locale === 'cs' || stored.locale === 'en' ? stored.locale : localeOfBrowser(),
    theme: stored.theme === 'light' || stored.theme === 'dark' ? stored.theme : 'system',
  };
}

function parse(text: string | null): Partial<Record<keyof Preferences, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

function localeOfBrowser(): Locale {
  const known = navigator.languages.map((language) => language.slice(0, 2)).find((one) => one === 'cs' || one === 'en');
  // Slovaks read Czech more easily than English.
  return known ?? (navigator.languages.some((language) => language.startsWith('sk')) ? 'cs' : 'en');
}

function reread(): void {
  current = read();
  for (const changed of listeners) {
    changed();
  }
}

addEventListener('storage', (event) => {
  if (event.key === KEY) {
    reread();
  }
});
