import { Heading, Text } from '@radix-ui/themes';
import type { ReactNode } from 'react';
import styles from './section.module.css';

/** A part of the settings whose buttons act at once. */
export function Section({ title, lead, children }: { title: string; lead: string; children: ReactNode }) {
  return (
    <section className={styles.section}>
      <div>
        <Heading as="h2" size="3">
          {title}
        </Heading>
        <Text as="p" size="2" color="gray" highContrast className={styles.lead}>
          {lead}
        </Text>
      </div>
      {children}
    </section>
  );
}

/** Buttons beside each other. */
export function Buttons({ children }: { children: ReactNode }) {
  return <div className={styles.buttons}>{children}</div>;
}
