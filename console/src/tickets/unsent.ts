import { useState } from 'react';
import { useViewer } from '../shell/viewer.tsx';

type Input = Readonly<{ requesterEmail: string; requesterName: string; subject: string; text: string }>;

const EMPTY: Input = { requesterEmail: '', requesterName: '', subject: '', text: '' };
let unsent = { of: '', input: EMPTY };

/** A new ticket as far as it is written: it waits while its writer looks elsewhere, or signs in again. */
export function useUnsent(): readonly [input: Input, change: (input: Input) => void, forget: () => void] {
  const { name, workspace } = useViewer();
  const writer = `${workspace.id} ${name}`;
  const [input, setInput] = useState(unsent.of === writer ? unsent.input : EMPTY);
  const change = (changed: Input) => {
    unsent = { of: writer, input: changed };
    setInput(changed);
  };
  const forget = () => {
    unsent = { of: '', input: EMPTY };
  };
  return [input, change, forget];
}
