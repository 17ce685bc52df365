import { EyeNoneIcon, EyeOpenIcon } from '@radix-ui/react-icons';
import { Button, IconButton, Text, TextField } from '@radix-ui/themes';
import { type ReactNode, useState } from 'react';
import { Field, type Problem } from '../forms/field.tsx';
import { useWords } from '../preferences/preferences.ts';
import type { ConnectorData } from './connector.ts';
import { CopyButton } from './copy-button.tsx';
import type { Draft, SecretDraft } from './draft.ts';
import { formWords } from './form-words.ts';
import { goodSecret } from './good-secret.ts';
import styles from './secret-field.module.css';
import { StoredSecret } from './stored-secret.tsx';

type Change = (changes: Pick<Draft, 'secret'> | Pick<Draft, 'secretHeaderName'>) => void;

/** Header and secret: entered, never read back. */
export function SecretField({
  connector,
  draft,
  secret,
  canKeep,
  onChange,
  problems,
}: {
  connector: ConnectorData | null;
  draft: Draft;
  secret: SecretDraft;
  canKeep: boolean;
  onChange: Change;
  problems: readonly Problem[];
}) {
  const words = useWords(formWords);
  return (
    <div className={styles.group}>
      <Field name="secretHeaderName" label={words.header} help={words.headerHelp} problems={problems}>
        {(described) => (
          <TextField.Root
            {...described}
            autoComplete="off"
            spellCheck={false}
            value={draft.secretHeaderName}
            disabled={secret.kind === 'removed'}
            onChange={(event) => onChange({ secretHeaderName: event.target.value })}
          />
        )}
      </Field>
      {secret.kind === 'entered' ? (
        <SecretInput
          name="secretHeaderValue"
          label={words.secret}
          help={words.secretHelp}
          value={secret.value}
          onChange={(value) => onChange({ secret: { kind: 'entered', value } })}
          problems={problems}
        >
          {canKeep && (
            <Button
              type="button"
              variant="soft"
              color="gray"
              highContrast
              onClick={() => onChange({ secret: { kind: 'kept' } })}
            >
              {words.keepSecret}
            </Button>
          )}
        </SecretInput>
      ) : (
        <div className={styles.stored}>
          <Text as="p" size="2" weight="medium">
            {words.secret}
          </Text>
          {secret.kind === 'kept' ? (
            connector?.secret && <StoredSecret secret={connector.secret} />
          ) : (
            <Text as="p" size="2" role="status">
              {words.secretRemoved}
            </Text>
          )}
          <div className={styles.buttons}>
            <Button
              type="button"
              size="1"
              variant="soft"
              onClick={() => onChange({ secret: { kind: 'entered', value: '' } })}
            >
              {words.replaceSecret}
            </Button>
            <Button
              type="button"
              size="1"
              variant="soft"
              color="gray"
              highContrast
              onClick={() => onChange({ secret: secret.kind === 'kept' ? { kind: 'removed' } : { kind: 'kept' } })}
            >
              {secret.kind === 'kept' ? words.removeSecret : words.keepSecret}
            </Button>
          </div>
        </div>
      )}
    </div>
  );
}

/** A secret to be entered: hidden as it is typed, shown once when it was made here. */
export function SecretInput({
  name,
  label,
  help,
  value,
  onChange,
  problems,
  children,
}: {
  name: string;
  label: string;
  help: string;
  value: string;
  onChange: (value: string) => void;
  problems: readonly Problem[];
  children?: ReactNode;
}) {
  const words = useWords(formWords);
  const [made, setMade] = useState('');
  const [shown, setShown] = useState(false);

  function make() {
    const secret = goodSecret();
    setMade(secret);
    setShown(true);
    onChange(secret);
  }

  return (
    <div className={styles.stored}>
      <Field name={name} label={label} help={help} problems={problems}>
        {(described) => (
          <TextField.Root
            {...described}
            className={styles.input}
            type={shown ? 'text' : 'password'}
            autoComplete="new-password"
            spellCheck={false}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          >
            <TextField.Slot side="right">
              <IconButton
                type="button"
                size="1"
                variant="ghost"
                color="gray"
                highContrast
                aria-label={shown ? words.hideSecret : words.showSecret}
                onClick={() => setShown(!shown)}
              >
                {shown ? <EyeNoneIcon /> : <EyeOpenIcon />}
              </IconButton>
            </TextField.Slot>
          </TextField.Root>
        )}
      </Field>
      <div className={styles.buttons}>
        <Button type="button" size="1" variant="soft" onClick={make}>
          {words.makeSecret}
        </Button>
        {made !== '' && made === value && (
          <>
            <CopyButton text={made} />
            <Text size="1" role="status">
              {words.secretOnce}
            </Text>
          </>
        )}
        {children}
      </div>
    </div>
  );
}
