import { AlertDialog, Button } from '@radix-ui/themes';
import type { CombinedError } from '@urql/core';
import { type ReactNode, useState } from 'react';
import { useWords } from '../preferences/preferences.ts';
import { Trouble } from '../shell/trouble.tsx';
import styles from './question.module.css';
import { connectorWords } from './words.ts';

/** Why an act that was asked for did not happen; null when it did. */
export type Objection = CombinedError | string | null;

/** A button that asks before it acts, and stays open with the reason when the act fails. */
export function Question({
  label,
  title,
  lead,
  confirm,
  danger = false,
  act,
}: {
  label: string;
  title: string;
  lead: ReactNode;
  confirm: string;
  danger?: boolean;
  act: () => Promise<Objection>;
}) {
  const words = useWords(connectorWords);
  const [open, setOpen] = useState(false);
  const [acting, setActing] = useState(false);
  const [objection, setObjection] = useState<Objection>(null);

  async function onConfirm() {
    setActing(true);
    const ended = await act();
    setActing(false);
    setObjection(ended);
    setOpen(ended !== null);
  }

  return (
    <AlertDialog.Root
      open={open}
      onOpenChange={(wanted) => {
        setOpen(wanted);
        setObjection(null);
      }}
    >
      <AlertDialog.Trigger>
        <Button variant="soft" color={danger ? 'red' : undefined} highContrast={danger}>
          {label}
        </Button>
      </AlertDialog.Trigger>
      <AlertDialog.Content className={styles.dialog}>
        <AlertDialog.Title size="4">{title}</AlertDialog.Title>
        <AlertDialog.Description size="2">{lead}</AlertDialog.Description>
        <div className={styles.end}>
          {typeof objection === 'string' && (
            <p role="alert" className={styles.objection}>
              {objection}
            </p>
          )}
          {objection !== null && typeof objection !== 'string' && <Trouble error={objection} />}
          <div className={styles.buttons}>
            <AlertDialog.Cancel>
              <Button variant="soft" color="gray" highContrast>
                {words.cancel}
              </Button>
            </AlertDialog.Cancel>
            <Button color={danger ? 'red' : undefined} highContrast={danger} loading={acting} onClick={onConfirm}>
              {confirm}
            </Button>
          </div>
        </div>
      </AlertDialog.Content>
    </AlertDialog.Root>
  );
}
