import { Theme } from '@radix-ui/themes';
import { useEffect } from 'react';
import { useDark, usePreferences } from './preferences/preferences.ts';
import { useSession } from './session/session.ts';
import { SignIn } from './session/sign-in.tsx';
import { Crash } from './shell/crash.tsx';
import { SignedIn } from './shell/signed-in.tsx';

/** The console: signed in or not. */
export function App() {
  const session = useSession();
  const { locale } = usePreferences();
  const dark = useDark();
  useEffect(() => {
    document.documentElement.lang = locale;
  }, [locale]);
  return (
    <Theme appearance={dark ? 'dark' : 'light'} accentColor="indigo" grayColor="slate" radius="medium">
      <Crash>
        {session.state === 'signedIn' ? (
          <SignedIn key={session.token} token={session.token} />
        ) : (
          <SignIn reason={session.reason} />
        )}
      </Crash>
    </Theme>
  );
}
