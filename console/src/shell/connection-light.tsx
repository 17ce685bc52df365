import { Tooltip } from '@radix-ui/themes';
import { useConnection } from '../api/context.tsx';
import { useWords } from '../preferences/preferences.ts';
import styles from './connection-light.module.css';
import { shellWords } from './words.ts';

/** Whether what is on the screen is live. */
export function ConnectionLight() {
  const words = useWords(shellWords);
  const { state } = useConnection();
  return (
    <Tooltip content={words.connectionHelp[state]}>
      <span className={styles.light} data-state={state} role="status">
        {words.connection[state]}
      </span>
    </Tooltip>
  );
}
