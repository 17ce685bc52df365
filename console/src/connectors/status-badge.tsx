import { Badge } from '@radix-ui/themes';
import { useWords } from '../preferences/preferences.ts';
import type { TrialData } from './trial.ts';
import { connectorWords } from './words.ts';

export type Status = TrialData['status'];

const COLORS = { PENDING: 'blue', FOUND: 'green', NOT_FOUND: 'gray', ERROR: 'red', TIMEOUT: 'yellow' } as const;

/** How a lookup ended, in one word. */
export function StatusBadge({ status }: { status: Status }) {
  const words = useWords(connectorWords);
  return (
    <Badge color={COLORS[status]} highContrast>
      {words.status[status]}
    </Badge>
  );
}
