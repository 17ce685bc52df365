import { DropdownMenu, Text } from '@radix-ui/themes';
import { prefer, usePreferences, useWords } from '../preferences/preferences.ts';
import { signOut } from '../session/session.ts';
import { useViewer } from './viewer.tsx';
import { shellWords } from './words.ts';

/** Who is signed in, how this browser shows the console, and the way out. */
export function AccountMenu() {
  const words = useWords(shellWords);
  const viewer = useViewer();
  const { locale, theme } = usePreferences();
  return (
    <DropdownMenu.Content align="end" variant="soft" highContrast>
      <DropdownMenu.Label>
        <Text size="2" truncate>
          {viewer.name ?? words.roles[viewer.role]} · {viewer.workspace.name}
        </Text>
      </DropdownMenu.Label>
      <DropdownMenu.Separator />
      <DropdownMenu.Label>{words.language}</DropdownMenu.Label>
      <DropdownMenu.RadioGroup value={locale}>
        <DropdownMenu.RadioItem value="cs" onSelect={() => prefer({ locale: 'cs' })}>
          Čeština
        </DropdownMenu.RadioItem>
        <DropdownMenu.RadioItem value="en" onSelect={() => prefer({ locale: 'en' })}>
          English
        </DropdownMenu.RadioItem>
      </DropdownMenu.RadioGroup>
      <DropdownMenu.Separator />
      <DropdownMenu.Label>{words.theme}</DropdownMenu.Label>
      <DropdownMenu.RadioGroup value={theme}>
        {(['system', 'light', 'dark'] as const).map((one) => (
          <DropdownMenu.RadioItem key={one} value={one} onSelect={() => prefer({ theme: one })}>
            {words.themes[one]}
          </DropdownMenu.RadioItem>
        ))}
      </DropdownMenu.RadioGroup>
      <DropdownMenu.Separator />
      {viewer.role === 'ADMIN' && (
        <DropdownMenu.Item asChild>
          <a href="./graphiql">{words.explorer}</a>
        </DropdownMenu.Item>
      )}
      <DropdownMenu.Item onSelect={() => signOut('left')}>{words.signOut}</DropdownMenu.Item>
    </DropdownMenu.Content>
  );
}
