import { Badge, Code, Text } from '@radix-ui/themes';
import { Age } from '../clock/age.tsx';
import { useWords } from '../preferences/preferences.ts';
import type { ConnectorData } from './connector.ts';
import { formWords } from './form-words.ts';
import styles from './stored-secret.module.css';

/** That there is a secret, and by what to tell it from another. */
export function StoredSecret({ secret }: { secret: NonNullable<ConnectorData['secret']> }) {
  const words = useWords(formWords);
  if (secret.fingerprint === null) {
    return (
      <Text as="p" size="2" color="red">
        {words.secretUnreadable}
      </Text>
    );
  }
  return (
    <Text as="div" size="2" className={styles.facts}>
      <Badge color="green" highContrast>
        {words.secretStored}
      </Badge>
      <span>
        {words.fingerprint}:{' '}
        <Code variant="soft" color="gray" highContrast>
          {secret.fingerprint}
        </Code>
      </span>
      {secret.changedAt && (
        <span>
          {words.changedAt}: <Age at={secret.changedAt} />
        </span>
      )}
      <span>
        {words.lastUsedAt}: {secret.lastUsedAt ? <Age at={secret.lastUsedAt} /> : words.never}
      </span>
    </Text>
  );
}
