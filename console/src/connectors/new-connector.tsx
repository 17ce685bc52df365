import { Heading, Text } from '@radix-ui/themes';
import { Link, useLocation } from 'wouter';
import { useWords } from '../preferences/preferences.ts';
import { ConnectorForm } from './connector-form.tsx';
import styles from './connector-page.module.css';
import type { Errand } from './errand.ts';
import { formWords } from './form-words.ts';
import { GuideLink } from './guide-link.tsx';
import { connectorWords } from './words.ts';

/** A connector that is to be made. */
export function NewConnector({ onErrand }: { onErrand: (errand: Errand) => void }) {
  const words = useWords(formWords);
  const { back } = useWords(connectorWords);
  const [, go] = useLocation();
  return (
    <div className={styles.page}>
      <div>
        <Link href="/settings" className={styles.back}>
          ← {back}
        </Link>
        <Heading as="h1" size="5">
          {words.add}
        </Heading>
        <Text as="p" size="2" color="gray" highContrast className={styles.lead}>
          {words.addLead} <GuideLink />
        </Text>
      </div>
      <ConnectorForm
        connector={null}
        onSaved={({ id }, email) => {
          if (email !== null) {
            onErrand({ connectorId: id, email, thenEnable: true });
          }
          go(email === null ? `/settings/${id}` : `/settings/${id}/test`, { replace: true });
        }}
      />
    </div>
  );
}
