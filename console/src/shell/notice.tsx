import { Heading } from '@radix-ui/themes';
import type { ReactNode } from 'react';
import styles from './notice.module.css';

/** A page, or a part of one, with nothing on it: what that means and what to do next. */
export function Notice({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={styles.notice}>
      <Heading as="h2" size="4">
        {title}
      </Heading>
      {children}
    </div>
  );
}
