import { type RefObject, useEffect } from 'react';
import { useLocation } from 'wouter';
import { typing } from '../shell/typing.ts';

let lastFocused: string | null = null;

/** J and K move through the rows of a list, N opens the form of a new ticket; Enter is the link's own. */
export function useListKeys(list: RefObject<HTMLUListElement | null>): void {
  const [, go] = useLocation();
  useEffect(() => {
    const links = () => [...(list.current?.querySelectorAll<HTMLAnchorElement>('a[data-row]') ?? [])];
    // Who comes back from a ticket goes on where they were.
    links()
      .find((link) => link.getAttribute('href') === lastFocused)
      ?.focus();

    function move(step: 1 | -1) {
      const all = links();
      const here = all.indexOf(document.activeElement as HTMLAnchorElement);
      const next = here === -1 ? all[step === 1 ? 0 : all.length - 1] : all[here + step];
      next?.focus();
      lastFocused = next?.getAttribute('href') ?? lastFocused;
    }

    function press(event: KeyboardEvent) {
      if (typing(event)) {
        return;
      }
      const key = event.key.toLowerCase(); // Caps Lock
      if (key === 'j' || key === 'k') {
        move(key === 'j' ? 1 : -1);
      } else if (key === 'n') {
        event.preventDefault(); // the letter would land in the form that opens
        go('/tickets/new');
      }
    }

    function remember(event: MouseEvent) {
      lastFocused = (event.target as Element).closest('a[data-row]')?.getAttribute('href') ?? lastFocused;
    }

    document.addEventListener('click', remember); // the rows come later
    document.addEventListener('keydown', press);
    return () => {
      document.removeEventListener('click', remember);
      document.removeEventListener('keydown', press);
    };
  }, [list, go]);
}
