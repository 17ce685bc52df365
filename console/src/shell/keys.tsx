import { Kbd } from '@radix-ui/themes';
import { Fragment } from 'react';
import styles from './keys.module.css';

/** Which keys do what; a keyboard is rare where there is no fine pointer, so it is shown only with one. */
export function Keys({ keys }: { keys: [names: string[], does: string][] }) {
  return (
    <p className={styles.keys}>
      {keys.map(([names, does]) => (
        <span key={does}>
          {names.map((name) => (
            <Fragment key={name}>
              <Kbd size="1">{name}</Kbd>{' '}
            </Fragment>
          ))}
          {does}
        </span>
      ))}
    </p>
  );
}
