import type { Client } from '@urql/core';
import { useCallback, useState } from 'react';
import { useClient } from 'urql';
import { storedToken } from '../session/session.ts';
import type { Changes } from './draft.ts';

/** What one signed-in person has typed and not saved, by connector; in memory only, for a secret may be among it. */
type Drafts = Readonly<{ client: Client; changes: Map<string, Changes> }>;

let kept: Drafts | null = null;

/** Unsaved changes of one connector: they wait while the person looks elsewhere, and the browser asks before it closes. */
export function useChanges(key: string): readonly [changes: Changes, keep: (changes: Changes) => void] {
  const { changes: all } = draftsOf(useClient());
  const [changes, setChanges] = useState<Changes>(all.get(key) ?? {});
  const keep = useCallback(
    (next: Changes) => {
      if (Object.keys(next).length > 0) {
        all.set(key, next);
      } else {
        all.delete(key);
      }
      setChanges(next);
    },
    [all, key],
  );
  return [changes, keep];
}

/** The connectors with changes that wait. */
export function useUnsaved(): ReadonlySet<string> {
  return new Set(draftsOf(useClient()).changes.keys());
}

/** Another session has drafts of its own. */
function draftsOf(client: Client): Drafts {
  if (kept?.client !== client) {
    kept = { client, changes: new Map() };
  }
  return kept;
}

addEventListener('beforeunload', (event) => {
  if (kept && kept.changes.size > 0 && storedToken() !== null) {
    event.preventDefault();
  }
});
