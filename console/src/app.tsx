import { Theme } from '@radix-ui/themes';
import { useEffect } from 'react';
import { useDark, usePreferences } from './preferences/preferences.ts';
import { Offer } from './session/offer.tsx';
import { type Session, useSession } from './session/session.ts';
import { SignIn } from './session/sign-in.tsx';
import { Crash } from './shell/crash.tsx';
import { SignedIn } from './shell/signed-in.tsx';

/** The console, in the language and the theme of whoever looks at it. */
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
        <Door session={session} />
      </Crash>
    </Theme>
  );
}

function Door({ session }: { session: Session }) {
  switch (session.state) {
    case 'signedIn':
      return <SignedIn key={session.token} token={session.token} />;
    case 'signedOut':
      return <SignIn reason={session.reason} />;
    case 'offered':
      return <Offer token={session.token} kept={session.kept} />;
    default:
      return session satisfies never;
  }
}
