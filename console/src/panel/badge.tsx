import type { BadgeData } from './fragment.ts';

/** A word in one of the five colours. */
export function Badge({ text, color }: BadgeData) {
  return (
    <span className={`disqua-badge disqua-${color.toLowerCase()}`} part={`badge badge-${color.toLowerCase()}`}>
      {text}
    </span>
  );
}
