import { Button, Callout, Dialog, Text } from '@radix-ui/themes';
import type { CombinedError } from '@urql/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useMutation } from 'urql';
import { graphql } from '../api/graphql.ts';
import { useLanguage } from '../api/language.ts';
import { EmailField } from '../forms/email-field.tsx';
import type { Problem } from '../forms/field.tsx';
import { usePreferences, useWords } from '../preferences/preferences.ts';
import { Trouble } from '../shell/trouble.tsx';
import { type ConnectorData, ConnectorFragment } from './connector.ts';
import { credentialsWords } from './credentials-words.ts';
import { moment } from './moment.ts';
import { type Objection, Question } from './question.tsx';
import { SecretInput } from './secret-field.tsx';
import styles from './secret-rotation.module.css';
import { Buttons, Section } from './section.tsx';
import { useTrialAddress } from './trial-address.ts';
import { connectorWords } from './words.ts';

const RotateSecret = graphql(
  `
    mutation RotateSecret($id: ID!, $value: String!, $email: String!, $locale: Locale!) {
      rotateSecret(id: $id, value: $value, email: $email) {
        __typename
        ... on SecretRotated {
          connector {
            ...ConnectorSettings
          }
        }
        ... on SecretNotRotated {
          message(locale: $locale)
        }
        ... on InvalidInput {
          problems {
            field
            message(locale: $locale)
          }
        }
        ... on NotFound {
          message(locale: $locale)
        }
      }
    }
  `,
  [ConnectorFragment],
);

const RestoreSecret = graphql(
  `
    mutation RestoreSecret($id: ID!, $locale: Locale!) {
      restoreSecret(id: $id) {
        __typename
        ...ConnectorSettings
        ... on NothingToRestore {
          message(locale: $locale)
        }
        ... on NotFound {
          message(locale: $locale)
        }
      }
    }
  `,
  [ConnectorFragment],
);

/** Another secret, tried before it counts, and the way back. */
export function SecretRotation({ connector }: { connector: ConnectorData }) {
  const words = useWords(credentialsWords);
  const { locale } = usePreferences();
  const language = useLanguage();
  const [, restore] = useMutation(RestoreSecret);
  const [rotated, setRotated] = useState(false);
  const previous = connector.secret?.previous;
  const until = previous && moment(previous.restorableUntil, locale);

  async function goBack(): Promise<Objection> {
    const { data, error } = await restore({ id: connector.id, locale: language });
    if (error) {
      return error;
    }
    setRotated(false);
    return data && data.restoreSecret.__typename !== 'Connector' ? data.restoreSecret.message : null;
  }

  return (
    <Section title={words.rotation} lead={words.rotationLead}>
      {rotated ? (
        <Callout.Root color="green" role="status" highContrast>
          <Callout.Text>{until ? words.rotated(until) : words.rotatedPlain}</Callout.Text>
        </Callout.Root>
      ) : (
        until && (
          <Text as="p" size="2">
            {words.restorable(until)}
          </Text>
        )
      )}
      <Buttons>
        <RotationDialog connector={connector} onRotated={() => setRotated(true)} />
        {previous && (
          <Question
            label={words.restore}
            title={words.restoreTitle}
            lead={words.restoreLead}
            confirm={words.restoreDo}
            act={goBack}
          />
        )}
      </Buttons>
    </Section>
  );
}

type Attempt =
  | Readonly<{ state: 'none' }>
  | Readonly<{ state: 'refused'; problems: readonly Problem[] }>
  | Readonly<{ state: 'not rotated'; sentence: string }>
  | Readonly<{ state: 'failed'; error: CombinedError }>;

function RotationDialog({ connector, onRotated }: { connector: ConnectorData; onRotated: () => void }) {
  const words = useWords(credentialsWords);
  const [open, setOpen] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger>
        <Button variant="soft">{words.rotate}</Button>
      </Dialog.Trigger>
      <Dialog.Content className={styles.dialog}>
        <Dialog.Title size="4">{words.rotation}</Dialog.Title>
        <Dialog.Description size="2">{words.rotationLead}</Dialog.Description>
        <RotationForm
          connector={connector}
          onRotated={() => {
            setOpen(false);
            onRotated();
          }}
        />
      </Dialog.Content>
    </Dialog.Root>
  );
}

function RotationForm({ connector, onRotated }: { connector: ConnectorData; onRotated: () => void }) {
  const words = useWords(credentialsWords);
  const shared = useWords(connectorWords);
  const locale = useLanguage();
  const [{ fetching }, rotate] = useMutation(RotateSecret);
  const [value, setValue] = useState('');
  const [email, typeEmail] = useTrialAddress();
  const [attempt, setAttempt] = useState<Attempt>({ state: 'none' });
  const form = useRef<HTMLFormElement>(null);
  const problems = attempt.state === 'refused' ? attempt.problems : [];

  useEffect(() => {
    if (attempt.state === 'refused') {
      form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    }
  }, [attempt]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const { data, error } = await rotate({ id: connector.id, value, email: email.trim(), locale });
    const result = data?.rotateSecret;
    switch (result?.__typename) {
      case undefined:
        setAttempt({ state: 'failed', error: error as CombinedError });
        break;
      case 'SecretRotated':
        onRotated();
        break;
      case 'InvalidInput':
        setAttempt({ state: 'refused', problems: result.problems });
        break;
      case 'SecretNotRotated':
      case 'NotFound':
        setAttempt({ state: 'not rotated', sentence: result.message });
        break;
      default:
        result satisfies never;
    }
  }

  return (
    <form ref={form} className={styles.form} onSubmit={submit} noValidate>
      <AttemptNote attempt={attempt} />
      <SecretInput
        name="value"
        label={words.newSecret}
        help={words.newSecretHelp}
        value={value}
        onChange={setValue}
        problems={problems}
      />
      <EmailField name="email" label={shared.email} problems={problems} value={email} onType={typeEmail} />
      <div className={styles.buttons}>
        <Dialog.Close>
          <Button type="button" variant="soft" color="gray" highContrast>
            {shared.cancel}
          </Button>
        </Dialog.Close>
        <Button type="submit" loading={fetching}>
          {words.tryAndSwitch}
        </Button>
      </div>
    </form>
  );
}

function AttemptNote({ attempt }: { attempt: Attempt }) {
  switch (attempt.state) {
    case 'none':
    case 'refused':
      return null;
    case 'failed':
      return <Trouble error={attempt.error} />;
    case 'not rotated':
      return (
        <Callout.Root color="red" role="alert" highContrast>
          <Callout.Text>{attempt.sentence}</Callout.Text>
        </Callout.Root>
      );
    default:
      return attempt satisfies never;
  }
}
