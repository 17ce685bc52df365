import { type RefObject, useEffect, useRef } from 'react';

const FADE = { duration: 240, easing: 'ease-out' } as const;

/** Lets an element fade in each time `what` changes, not when it first appears, and never where motion is unwelcome. */
export function useFadeIn<T extends HTMLElement>(what: string): RefObject<T | null> {
  const element = useRef<T>(null);
  const shown = useRef(what);
  useEffect(() => {
    if (shown.current !== what && !matchMedia('(prefers-reduced-motion: reduce)').matches) {
      element.current?.animate([{ opacity: 0.2 }, { opacity: 1 }], FADE);
    }
    shown.current = what;
  }, [what]);
  return element;
}
