import { Button, Card, Heading, Text } from '@radix-ui/themes';
import { useWords } from '../preferences/preferences.ts';
import { Logo } from '../shell/logo.tsx';
import { useTitle } from '../shell/title.ts';
import { signIn, stay } from './session.ts';
import styles from './sign-in.module.css';
import { sessionWords } from './words.ts';

/** A link would sign in as somebody else: whoever sent it may want secrets typed into a workspace of theirs. */
export function Offer({ token, kept }: { token: string; kept: string }) {
  const words = useWords(sessionWords).offer;
  useTitle(words.title);
  return (
    <main className={styles.page}>
      <Card size="4" className={styles.card}>
        <div className={styles.form}>
          <Logo />
          <Heading as="h1" size="6">
            {words.title}
          </Heading>
          <Text as="p">{words.lead}</Text>
          <Button size="3" onClick={() => stay(kept)}>
            {words.stay}
          </Button>
          <Button size="3" variant="soft" color="gray" highContrast onClick={() => signIn(token, { remember: false })}>
            {words.accept}
          </Button>
        </div>
      </Card>
    </main>
  );
}
