import { type RefObject, useEffect, useRef } from 'react';
import { useLocation } from 'wouter';

/**
 * Whoever has followed a link goes on in the page that it opened: the focus goes to its heading once that is there.
 *
 * A page that has put the focus somewhere keeps it.
 */
export function useArrival(content: RefObject<HTMLElement | null>): void {
  const [location] = useLocation();
  const left = useRef(location);
  useEffect(() => {
    const page = content.current;
    if (!page || left.current === location) {
      return;
    }
    left.current = location;
    if (arrive(page)) {
      return;
    }
    const loading = new MutationObserver(() => arrive(page) && loading.disconnect());
    loading.observe(page, { childList: true, subtree: true });
    return () => loading.disconnect();
  }, [content, location]);
}

function arrive(page: HTMLElement): boolean {
  const inside = page.contains(document.activeElement);
  const heading = page.querySelector<HTMLElement>('h1, h2');
  if (!inside && heading) {
    heading.tabIndex = -1;
    heading.focus();
  }
  return inside || heading !== null;
}
