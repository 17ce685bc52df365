import type { PanelWords } from './words.ts';

/** The place of an answer that is on its way. */
export function Skeleton({ words }: { words: PanelWords }) {
  return (
    <div className="disqua-skeleton" part="skeleton">
      <span className="disqua-hidden">{words.asking}</span>
      <span />
      <span />
      <span />
    </div>
  );
}
