import { type KeyboardEvent, useId, useState } from 'react';
import type { PanelWords } from './words.ts';

/** The badge of an address that nobody knows, and a tooltip which says what that means and leads to the guide. */
export function Unknown({ helpUrl, words }: { helpUrl: string | null; words: PanelWords }) {
  const [open, setOpen] = useState(false);
  const tooltip = useId();
  const close = () => setOpen(false);
  const closeOnEscape = (event: KeyboardEvent) => {
    if (open && event.key === 'Escape') {
      event.stopPropagation(); // a dialog around the panel stays open
      close();
    }
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: what reacts is the button; the pointer may wander into the tooltip
    <span
      className="disqua-unknown"
      onMouseEnter={() => setOpen(true)}
      onMouseLeave={close}
      onFocus={() => setOpen(true)}
      onBlur={(event) => event.currentTarget.contains(event.relatedTarget) || close()}
      onKeyDown={closeOnEscape}
    >
      <button
        type="button"
        className="disqua-badge disqua-gray disqua-explained"
        part="badge badge-gray"
        aria-describedby={tooltip}
        aria-expanded={open}
        onClick={() => setOpen(true)}
      >
        {words.unknown}
      </button>
      <span role="tooltip" id={tooltip} className="disqua-tooltip" part="tooltip" hidden={!open}>
        <span className="disqua-tooltip-sheet">
          {words.unknownMeans}{' '}
          {helpUrl && (
            <a className="disqua-link" href={helpUrl} target="_blank" rel="noopener noreferrer">
              {words.unknownHelp}
            </a>
          )}
        </span>
      </span>
    </span>
  );
}
