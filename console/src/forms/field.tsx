import { Text } from '@radix-ui/themes';
import { type ReactNode, useId } from 'react';
import styles from './field.module.css';

/** What the server found wrong with one member of an input. */
export type Problem = Readonly<{ field: string; message: string }>;

type Described = { id: string; name: string; 'aria-describedby'?: string; 'aria-invalid'?: true };

/** A labelled control with its help and with the server's problems where they belong. */
export function Field({
  name,
  label,
  help,
  problems,
  children,
}: {
  /** The member of the input, as the server's problems call it. */
  name: string;
  label: string;
  help?: ReactNode;
  problems: readonly Problem[];
  children: (described: Described) => ReactNode;
}) {
  const id = useId();
  const mine = problems.filter((problem) => problem.field === name);
  const described = [help !== undefined && `${id}-help`, mine.length > 0 && `${id}-problem`].filter(Boolean).join(' ');
  return (
    <div className={styles.field}>
      <Text as="label" htmlFor={id} size="2" weight="medium">
        {label}
      </Text>
      {children({
        id,
        name,
        ...(described && { 'aria-describedby': described }),
        ...(mine.length > 0 && { 'aria-invalid': true }),
      })}
      {help !== undefined && (
        <Text as="div" id={`${id}-help`} size="1" color="gray" highContrast className={styles.help}>
          {help}
        </Text>
      )}
      {mine.length > 0 && (
        <Text as="div" id={`${id}-problem`} size="2" color="red" className={styles.problem}>
          {mine.map((problem) => problem.message).join(' ')}
        </Text>
      )}
    </div>
  );
}
