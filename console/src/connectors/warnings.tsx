import { Heading, Text } from '@radix-ui/themes';
import { useWords } from '../preferences/preferences.ts';
import type { TrialData } from './trial.ts';
import styles from './warnings.module.css';
import { connectorWords } from './words.ts';

/** What an answer should have said and did not. */
export function Warnings({ warnings }: { warnings: TrialData['warnings'] }) {
  const words = useWords(connectorWords);
  if (warnings.length === 0) {
    return null;
  }
  return (
    <section className={styles.warnings}>
      <Heading as="h2" size="2">
        {words.warningsTitle}
      </Heading>
      <ul className={styles.list}>
        {warnings.map(({ path, expected, received }) => (
          <li key={`${path} ${expected} ${received}`} className={styles.warning}>
            <code className={styles.path}>{path}</code>
            <dl className={styles.sides}>
              <Side name={words.warning.expected} value={expected} />
              <Side name={words.warning.received} value={received} />
            </dl>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Side({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>
        <Text size="1" color="gray" highContrast>
          {name}
        </Text>
      </dt>
      <dd>{value}</dd>
    </div>
  );
}
