import type { PanelWords } from './words.ts';

/** Asks the CRM again. While it is asked the button keeps its place and the focus, and does nothing. */
export function RefreshButton({
  connectorName,
  refreshing,
  onRefresh,
  words,
}: {
  connectorName: string;
  refreshing: boolean;
  onRefresh: () => void;
  words: PanelWords;
}) {
  const label = refreshing ? words.refreshing(connectorName) : words.refresh(connectorName);
  return (
    <button
      type="button"
      className="disqua-refresh"
      part="refresh"
      aria-label={label}
      title={label}
      aria-disabled={refreshing}
      onClick={() => refreshing || onRefresh()}
    >
      <svg
        className={refreshing ? 'disqua-spins' : undefined}
        viewBox="0 0 16 16"
        width="16"
        height="16"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
      >
        <path d="M13.5 8a5.5 5.5 0 1 1-1.6-3.9L13.5 5.7" />
        <path d="M13.5 2.5v3.2h-3.2" />
      </svg>
    </button>
  );
}
