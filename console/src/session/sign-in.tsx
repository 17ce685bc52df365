import { Button, Callout, Card, Checkbox, Code, Heading, Text, TextArea } from '@radix-ui/themes';
import { type FormEvent, useId, useState } from 'react';
import { useWords } from '../preferences/preferences.ts';
import { Logo } from '../shell/logo.tsx';
import { PreferenceSwitches } from '../shell/preference-switches.tsx';
import { useTitle } from '../shell/title.ts';
import { type SignedOutReason, signIn } from './session.ts';
import styles from './sign-in.module.css';
import { tryToken, type Verdict } from './try-token.ts';
import { sessionWords } from './words.ts';

type Trouble = SignedOutReason | Exclude<Verdict, 'good'> | 'empty';

/** The door: a token, tried before it is kept. */
export function SignIn({ reason }: { reason: SignedOutReason }) {
  const words = useWords(sessionWords);
  const [token, setToken] = useState('');
  const [remember, setRemember] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>(reason);
  const [trying, setTrying] = useState(false);
  const field = useId();
  const help = useId();
  useTitle(words.title);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const wanted = token.replace(/^\s*Bearer\s+/i, '').replaceAll(/\s/g, '');
    if (wanted === '') {
      setTrouble('empty');
      return;
    }
    setTrying(true);
    const verdict = await tryToken(wanted);
    setTrying(false);
    if (verdict === 'good') {
      signIn(wanted, { remember });
    } else {
      setTrouble(verdict);
    }
  }

  return (
    <main className={styles.page}>
      <Card size="4" className={styles.card}>
        <form onSubmit={submit} className={styles.form}>
          <Logo />
          <div>
            <Heading as="h1" size="6">
              {words.title}
            </Heading>
            <Text as="p" color="gray" highContrast>
              {words.lead}
            </Text>
          </div>
          {trouble !== 'none' && (
            <Callout.Root color={trouble === 'left' ? 'gray' : 'red'} role="alert" highContrast>
              <Callout.Text>{trouble === 'empty' ? words.empty : words.reasons[trouble]}</Callout.Text>
            </Callout.Root>
          )}
          <div className={styles.field}>
            <Text as="label" htmlFor={field} weight="medium" size="2">
              {words.token}
            </Text>
            <TextArea
              id={field}
              aria-describedby={help}
              className={styles.token}
              rows={4}
              spellCheck={false}
              autoCapitalize="off"
              autoComplete="off"
              placeholder="eyJ…"
              value={token}
              onChange={(event) => setToken(event.target.value)}
            />
            <Text as="p" id={help} size="1" color="gray" highContrast>
              {words.tokenHelp}
              <br />
              <Code variant="ghost">{words.command}</Code>
            </Text>
          </div>
          <Text as="label" size="2" className={styles.remember}>
            <Checkbox checked={remember} onCheckedChange={(checked) => setRemember(checked === true)} />
            {words.remember}
          </Text>
          <Button type="submit" size="3" loading={trying}>
            {words.signIn}
          </Button>
        </form>
      </Card>
      <PreferenceSwitches />
    </main>
  );
}
