import { DesktopIcon, MoonIcon, SunIcon } from '@radix-ui/react-icons';
import { SegmentedControl } from '@radix-ui/themes';
import { prefer, type Theme, usePreferences, useWords } from '../preferences/preferences.ts';
import type { Locale } from '../words/words.ts';
import styles from './preference-switches.module.css';
import { shellWords } from './words.ts';

/** Language and theme. */
export function PreferenceSwitches() {
  const words = useWords(shellWords);
  const { locale, theme } = usePreferences();
  return (
    <div className={styles.switches}>
      <SegmentedControl.Root
        size="1"
        value={locale}
        aria-label={words.language}
        onValueChange={(value) => prefer({ locale: value as Locale })}
      >
        <SegmentedControl.Item value="cs">Čeština</SegmentedControl.Item>
        <SegmentedControl.Item value="en">English</SegmentedControl.Item>
      </SegmentedControl.Root>
      <SegmentedControl.Root
        size="1"
        value={theme}
        aria-label={words.theme}
        onValueChange={(value) => prefer({ theme: value as Theme })}
      >
        <SegmentedControl.Item value="system" aria-label={words.themes.system} title={words.themes.system}>
          <DesktopIcon aria-label={words.themes.system} />
        </SegmentedControl.Item>
        <SegmentedControl.Item value="light" title={words.themes.light}>
          <SunIcon aria-label={words.themes.light} />
        </SegmentedControl.Item>
        <SegmentedControl.Item value="dark" title={words.themes.dark}>
          <MoonIcon aria-label={words.themes.dark} />
        </SegmentedControl.Item>
      </SegmentedControl.Root>
    </div>
  );
}
