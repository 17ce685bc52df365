const LATELY_MS = 60_000;

/** For a part that cannot be loaded: after a new release it has another name, which the page learns when it loads anew. */
export function renewPage(reason: unknown): Promise<never> {
  const { renewedAt = 0 }: { renewedAt?: number } = history.state ?? {};
  if (Date.now() - renewedAt < LATELY_MS) {
    throw reason; // that did not help
  }
  history.replaceState({ ...history.state, renewedAt: Date.now() }, '');
  location.reload();
  return new Promise(() => {});
}
