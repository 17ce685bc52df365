import { Heading } from '@radix-ui/themes';
import type { ReactNode } from 'react';
import styles from './source-text.module.css';

/** A text from outside, letter by letter: never as HTML. */
export function SourceText({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <div className={styles.source}>
      <div className={styles.head}>
        <Heading as="h2" size="2">
          {title}
        </Heading>
        {children}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section className={styles.text} tabIndex={0} aria-label={title}>
        <pre>{text}</pre>
      </section>
    </div>
  );
}
