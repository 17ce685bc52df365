import { useSyncExternalStore } from 'react';

const TICK_MS = 10_000;
const listeners = new Set<() => void>();
let now = Date.now();
let ticking: ReturnType<typeof setInterval> | undefined;

/** The time in ms since 1970, for ages: one clock for the whole page, each tick drawn at once everywhere. */
export function useNow(): number {
  return useSyncExternalStore(listen, () => now);
}

function listen(changed: () => void): () => void {
  if (listeners.size === 0) {
    now = Date.now();
    ticking = setInterval(tick, TICK_MS);
  }
  listeners.add(changed);
  return () => {
    listeners.delete(changed);
    if (listeners.size === 0) {
      clearInterval(ticking);
    }
  };
}

function tick(): void {
  now = Date.now();
  for (const changed of listeners) {
    changed();
  }
}
