import styles from './logo.module.css';

/** The product's mark and name. */
export function Logo() {
  return (
    <span className={styles.logo}>
      <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="var(--accent-9)" />
        <path d="M6 9.500h11.500v13H6z" fill="#fff" opacity=".55" />
        <path d="M19.500 9.500H26v4h-6.500zM19.500 15.500H26v7h-6.500z" fill="#fff" />
      </svg>
      Disqua
    </span>
  );
}
