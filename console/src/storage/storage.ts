/** What the browser keeps for us: `localStorage` across visits, `sessionStorage` for one tab. */
export const localStorage = storageOf('localStorage');
export const sessionStorage = storageOf('sessionStorage');

type Kept = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** Who forbids cookies forbids these, too: then it lasts as long as the page. */
function storageOf(name: 'localStorage' | 'sessionStorage'): Kept {
  try {
    return globalThis[name];
  } catch {
    const kept = new Map<string, string>();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    };
  }
}
