import { useSyncExternalStore } from 'react';
import { localStorage, sessionStorage } from '../storage/storage.ts';

/** Why nobody is signed in: never was, left, the server no longer takes the token, or it is one for mail. */
export type SignedOutReason = 'none' | 'left' | 'revoked' | 'expired' | 'mail';

export type Session =
  | Readonly<{ state: 'signedIn'; token: string }>
  | Readonly<{ state: 'signedOut'; reason: SignedOutReason }>
  /** A link brought another token than the one that is `kept` here. */
  | Readonly<{ state: 'offered'; token: string; kept: string }>;

const KEY = 'disqua.token';
const listeners = new Set<() => void>();
let current: Session = begin();

/** Who is signed in in this tab. */
export function useSession(): Session {
  return useSyncExternalStore(listen, () => current);
}

/** The token in use, or null. */
export function storedToken(): string | null {
  return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
}

/** Sign in; `remember` keeps the token when the browser closes. */
export function signIn(token: string, { remember }: { remember: boolean }): void {
  (remember ? localStorage : sessionStorage).setItem(KEY, token);
  become({ state: 'signedIn', token });
}

/** Stay signed in as before, whatever a link offered. */
export function stay(token: string): void {
  become({ state: 'signedIn', token });
}

/** Sign out and forget the token; one that was refused here says nothing of another, by which other tabs are signed in. */
export function signOut(reason: SignedOutReason): void {
  const token = current.state === 'signedIn' ? current.token : null;
  for (const storage of [sessionStorage, localStorage]) {
    if (reason === 'left' || storage.getItem(KEY) === token) {
      storage.removeItem(KEY);
    }
  }
  become({ state: 'signedOut', reason: reason === 'revoked' && isExpired(token) ? 'expired' : reason });
}

/** Whether a token says itself that its time is over; the server alone decides whether it is good. */
export function isExpired(token: string | null): boolean {
  try {
    const payload = (token ?? '').split('.')[1] ?? '';
    const claims: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    const exp = (claims as { exp?: unknown }).exp;
    return typeof exp === 'number' && exp * 1000 <= Date.now();
  } catch {
    return false;
  }
}

/** A link signs in by `#token=…`: what stands behind # never reaches a server's log. */
function begin(): Session {
  const [, token, rest] = /^#token=([\w.-]+)(.*)$/.exec(location.hash) ?? [];
  const stored = storedToken();
  if (token) {
    history.replaceState(null, '', `#${rest || '/'}`);
    if (stored !== null && stored !== token && !isExpired(stored)) {
      return { state: 'offered', token, kept: stored };
    }
    sessionStorage.setItem(KEY, token);
    return { state: 'signedIn', token };
  }
  return stored ? { state: 'signedIn', token: stored } : { state: 'signedOut', reason: 'none' };
}

function become(session: Session): void {
  current = session;
  for (const changed of listeners) {
    changed();
  }
}

function listen(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

// A link with a token may be opened in a tab where the console runs already: that changes the hash alone.
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#token=')) {
    become(begin());
  }
});

addEventListener('storage', (event) => {
  if (event.key === KEY && event.newValue === null && !sessionStorage.getItem(KEY) && current.state === 'signedIn') {
    become({ state: 'signedOut', reason: 'left' });
  }
});
