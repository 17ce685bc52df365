import { ExclamationTriangleIcon } from '@radix-ui/react-icons';
import { Button, Callout } from '@radix-ui/themes';
import type { CombinedError } from '@urql/core';
import { sentenceFor, troubleWords } from '../api/trouble.ts';
import { useWords } from '../preferences/preferences.ts';
import { shellWords } from './words.ts';

/** An operation that failed, in words a person understands, and a way out. */
export function Trouble({ error, onRetry }: { error: CombinedError; onRetry?: () => void }) {
  const words = useWords(shellWords);
  const sentence = sentenceFor(error, useWords(troubleWords));
  return (
    <Callout.Root color="red" role="alert" highContrast>
      <Callout.Icon>
        <ExclamationTriangleIcon />
      </Callout.Icon>
      <Callout.Text>
        {sentence}{' '}
        {onRetry && (
          <Button variant="ghost" color="red" highContrast onClick={onRetry}>
            {words.retry}
          </Button>
        )}
      </Callout.Text>
    </Callout.Root>
  );
}
