import { Callout } from '@radix-ui/themes';
import { Trouble } from '../shell/trouble.tsx';
import type { Refusal } from './use-connectors.ts';

/** Why what was just changed is as it was before. */
export function RefusalNote({ refusal, consequence }: { refusal: Refusal; consequence: string }) {
  return 'error' in refusal ? (
    <Trouble error={refusal.error} />
  ) : (
    <Callout.Root color="red" role="alert" highContrast>
      <Callout.Text>
        {refusal.sentence} {consequence}
      </Callout.Text>
    </Callout.Root>
  );
}
