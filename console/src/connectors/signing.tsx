import { Button, Code, Dialog, Text } from '@radix-ui/themes';
import { useState } from 'react';
import { useMutation } from 'urql';
import { graphql } from '../api/graphql.ts';
import { useLanguage } from '../api/language.ts';
import { Age } from '../clock/age.tsx';
import { usePreferences, useWords } from '../preferences/preferences.ts';
import { type ConnectorData, ConnectorFragment } from './connector.ts';
import { CopyButton } from './copy-button.tsx';
import { credentialsWords } from './credentials-words.ts';
import { formWords } from './form-words.ts';
import { moment } from './moment.ts';
import { type Objection, Question } from './question.tsx';
import { Buttons, Section } from './section.tsx';
import styles from './signing.module.css';

const IssueSigningKey = graphql(
  `
    mutation IssueSigningKey($id: ID!, $locale: Locale!) {
      issueSigningKey(id: $id) {
        __typename
        ... on SigningKeyIssued {
          signingKey
          connector {
            ...ConnectorSettings
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

const DisableSigning = graphql(
  `
    mutation DisableSigning($id: ID!, $locale: Locale!) {
      disableSigning(id: $id) {
        __typename
        ...ConnectorSettings
        ... on NotFound {
          message(locale: $locale)
        }
      }
    }
  `,
  [ConnectorFragment],
);

/** Whether requests are signed, and by which key. */
export function Signing({ connector: { id, signing } }: { connector: ConnectorData }) {
  const words = useWords(credentialsWords);
  const locale = useLanguage();
  const [, issue] = useMutation(IssueSigningKey);
  const [, disable] = useMutation(DisableSigning);
  const [key, setKey] = useState<string | null>(null);

  async function issueKey(): Promise<Objection> {
    const { data, error } = await issue({ id, locale });
    if (data?.issueSigningKey.__typename === 'SigningKeyIssued') {
      setKey(data.issueSigningKey.signingKey);
      return null;
    }
    return error ?? data?.issueSigningKey.message ?? null;
  }

  async function stop(): Promise<Objection> {
    const { data, error } = await disable({ id, locale });
    return error ?? (data?.disableSigning.__typename === 'NotFound' ? data.disableSigning.message : null);
  }

  return (
    <Section title={words.signing} lead={words.signingLead}>
      <Standing signing={signing} />
      <Buttons>
        <Question
          label={signing ? words.issueAnother : words.issue}
          title={words.issueTitle}
          lead={signing ? words.issueNext : words.issueFirst}
          confirm={words.issueDo}
          act={issueKey}
        />
        {signing && (
          <Question
            danger
            label={words.disable}
            title={words.disableTitle}
            lead={words.disableLead}
            confirm={words.disableDo}
            act={stop}
          />
        )}
      </Buttons>
      {key !== null && <KeyOnce signingKey={key} onClose={() => setKey(null)} />}
    </Section>
  );
}

function Standing({ signing }: { signing: ConnectorData['signing'] }) {
  const words = useWords(credentialsWords);
  const { fingerprint, changedAt } = useWords(formWords);
  const { locale } = usePreferences();
  if (!signing) {
    return (
      <Text as="p" size="2">
        {words.signingOff}
      </Text>
    );
  }
  return (
    <Text as="div" size="2" className={styles.facts}>
      <span>{words.signingOn}</span>
      {signing.fingerprint && (
        <span>
          {fingerprint}:{' '}
          <Code variant="soft" color="gray" highContrast>
            {signing.fingerprint}
          </Code>
        </span>
      )}
      <span>
        {changedAt}: <Age at={signing.changedAt} />
      </span>
      {signing.previousUntil && <span>{words.previousKey(moment(signing.previousUntil, locale))}</span>}
    </Text>
  );
}

/** The one time that the key is shown. */
function KeyOnce({ signingKey, onClose }: { signingKey: string; onClose: () => void }) {
  const words = useWords(credentialsWords);
  return (
    <Dialog.Root open onOpenChange={(open) => open || onClose()}>
      <Dialog.Content className={styles.dialog} onInteractOutside={(event) => event.preventDefault()}>
        <Dialog.Title size="4">{words.keyTitle}</Dialog.Title>
        <Dialog.Description size="2">{words.keyOnce}</Dialog.Description>
        <div className={styles.key}>
          <Code size="2" color="gray" highContrast className={styles.value}>
            {signingKey}
          </Code>
          <div className={styles.buttons}>
            <CopyButton text={signingKey} />
            <Dialog.Close>
              <Button>{words.done}</Button>
            </Dialog.Close>
          </div>
        </div>
      </Dialog.Content>
    </Dialog.Root>
  );
}
