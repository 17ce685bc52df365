import { useEffect } from 'react';

/** What the browser's tab says, and a screen reader when it comes to the page; null leaves it to somebody else. */
export function useTitle(title: string | null): void {
  useEffect(() => {
    if (title !== null) {
      document.title = `${title} · Disqua`;
    }
  }, [title]);
}
