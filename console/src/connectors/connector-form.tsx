import { Button, Callout, Switch, Text, TextField } from '@radix-ui/themes';
import type { CombinedError } from '@urql/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useMutation } from 'urql';
import { Link } from 'wouter';
import { graphql } from '../api/graphql.ts';
import { useLanguage } from '../api/language.ts';
import { EmailField } from '../forms/email-field.tsx';
import { Field, type Problem } from '../forms/field.tsx';
import { useWords } from '../preferences/preferences.ts';
import { Trouble } from '../shell/trouble.tsx';
import { type ConnectorData, ConnectorFragment } from './connector.ts';
import styles from './connector-form.module.css';
import {
  creation,
  type Draft,
  draftOf,
  dropsSecret,
  effectiveSecret,
  hoursAreANumber,
  realChanges,
  update,
} from './draft.ts';
import { useChanges } from './drafts.ts';
import { Duty } from './duty.tsx';
import { formWords } from './form-words.ts';
import { LinkTemplateField } from './link-template-field.tsx';
import { SecretField } from './secret-field.tsx';
import { useTrialAddress } from './trial-address.ts';
import { TtlField } from './ttl-field.tsx';
import { UpdateConnector } from './update-connector.ts';
import { connectorWords } from './words.ts';

const CreateConnector = graphql(
  `
    mutation CreateConnector($input: CreateConnectorInput!, $locale: Locale!) {
      createConnector(input: $input) {
        __typename
        ...ConnectorSettings
        ... on InvalidInput {
          problems {
            field
            message(locale: $locale)
          }
        }
      }
    }
  `,
  [ConnectorFragment],
);

/** How the last attempt to save ended. */
type Outcome =
  | Readonly<{ kind: 'none' }>
  | Readonly<{ kind: 'saved' }>
  | Readonly<{ kind: 'refused'; problems: readonly Problem[] }>
  | Readonly<{ kind: 'gone'; sentence: string }>
  | Readonly<{ kind: 'failed'; error: CombinedError }>;

/** The settings of a connector. `onSaved` gets the address to try it with, or null when nobody wants a trial. */
export function ConnectorForm({
  connector,
  onSaved,
}: {
  connector: ConnectorData | null;
  onSaved: (connector: ConnectorData, email: string | null) => void;
}) {
  const words = useWords(formWords);
  const shared = useWords(connectorWords);
  const saved = draftOf(connector);
  const [changes, keep] = useChanges(connector?.id ?? 'new');
  const [found] = useState(() => Object.keys(changes).length > 0);
  const [email, typeEmail] = useTrialAddress();
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' });
  const { saving, save } = useSave(connector);
  const form = useRef<HTMLFormElement>(null);
  const draft = { ...saved, ...changes };
  const changed = Object.keys(changes).length > 0;
  const problems = outcome.kind === 'refused' ? outcome.problems : [];

  useEffect(() => {
    if (outcome.kind === 'refused') {
      (form.current?.querySelector<HTMLElement>('[aria-invalid="true"]') ?? form.current)?.focus();
    }
  }, [outcome]);

  function change(some: Partial<Draft>) {
    keep(realChanges(saved, { ...changes, ...some }));
    if (outcome.kind === 'saved') {
      setOutcome({ kind: 'none' });
    }
  }

  async function submit({ andTry }: { andTry: boolean }) {
    const missing = [
      ...(hoursAreANumber(draft) ? [] : [{ field: 'cacheTtlHours', message: words.ttlNotANumber }]),
      ...(andTry && email.trim() === '' ? [{ field: 'email', message: words.trialAddressMissing }] : []),
    ];
    if (missing.length > 0) {
      setOutcome({ kind: 'refused', problems: missing });
      return;
    }
    const ended = await save(draft, changes);
    if ('id' in ended) {
      keep({});
      setOutcome({ kind: 'saved' });
      onSaved(ended, andTry ? email.trim() : null);
    } else {
      setOutcome(ended);
    }
  }

  function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    void submit({ andTry: (event.nativeEvent as SubmitEvent).submitter?.dataset.then === 'try' });
  }

  function text(name: 'name' | 'lookupUrl') {
    return {
      value: draft[name],
      onChange: (event: { target: { value: string } }) => change({ [name]: event.target.value }),
      autoComplete: 'off',
    };
  }

  return (
    <form ref={form} className={styles.form} onSubmit={onSubmit} noValidate tabIndex={-1}>
      {found && changed && (
        <Callout.Root color="yellow" highContrast>
          <Callout.Text>
            {words.draftKept}{' '}
            <Button type="button" variant="ghost" color="yellow" highContrast onClick={() => keep({})}>
              {words.discard}
            </Button>
          </Callout.Text>
        </Callout.Root>
      )}
      <OutcomeNote outcome={outcome} />
      <Field name="name" label={words.name} help={words.nameHelp} problems={problems}>
        {(described) => <TextField.Root {...described} {...text('name')} autoFocus={connector === null} />}
      </Field>
      <div className={styles.group}>
        <Field name="lookupUrl" label={words.lookupUrl} help={words.lookupUrlHelp} problems={problems}>
          {(described) => (
            <TextField.Root
              {...described}
              {...text('lookupUrl')}
              type="url"
              inputMode="url"
              spellCheck={false}
              placeholder={words.lookupUrlExample}
            />
          )}
        </Field>
        <Duty />
      </div>
      {dropsSecret(connector, draft) && (
        <Callout.Root color="yellow" highContrast role="status">
          <Callout.Text>{words.newOrigin}</Callout.Text>
        </Callout.Root>
      )}
      <SecretField
        connector={connector}
        draft={draft}
        secret={effectiveSecret(connector, draft)}
        canKeep={connector?.hasSecret === true && !dropsSecret(connector, draft)}
        onChange={change}
        problems={problems}
      />
      <LinkTemplateField
        value={draft.linkTemplate}
        onChange={(linkTemplate) => change({ linkTemplate })}
        problems={problems}
      />
      <TtlField
        value={draft.cacheTtlHours}
        onChange={(cacheTtlHours) => change({ cacheTtlHours })}
        problems={problems}
      />
      <Choice
        label={words.logResults}
        help={words.logResultsHelp}
        checked={draft.logResults}
        onChange={(logResults) => change({ logResults })}
      />
      {connector && (
        <Choice
          label={words.enabled}
          help={words.enabledHelp}
          checked={draft.enabled}
          onChange={(enabled) => change({ enabled })}
        />
      )}
      <section className={styles.end}>
        <EmailField
          name="email"
          label={words.trialAddress}
          help={words.trialAddressHelp}
          problems={problems}
          value={email}
          onType={typeEmail}
        />
        <div className={styles.buttons}>
          <Button type="submit" data-then="try" loading={saving}>
            {words.saveAndTry}
          </Button>
          <Button type="submit" variant="soft" disabled={saving || (connector !== null && !changed)}>
            {connector ? words.save : words.saveOff}
          </Button>
          {connector === null ? (
            <Button asChild variant="soft" color="gray" highContrast>
              <Link href="/settings">{shared.cancel}</Link>
            </Button>
          ) : (
            changed && (
              <Button type="button" variant="soft" color="gray" highContrast onClick={() => keep({})}>
                {words.discard}
              </Button>
            )
          )}
        </div>
      </section>
    </form>
  );
}

function OutcomeNote({ outcome }: { outcome: Outcome }) {
  const words = useWords(formWords);
  switch (outcome.kind) {
    case 'none':
      return null;
    case 'failed':
      return <Trouble error={outcome.error} />;
    case 'saved':
      return (
        <Callout.Root color="green" role="status" highContrast>
          <Callout.Text>{words.saved}</Callout.Text>
        </Callout.Root>
      );
    case 'gone':
      return (
        <Callout.Root color="red" role="alert" highContrast>
          <Callout.Text>{outcome.sentence}</Callout.Text>
        </Callout.Root>
      );
    case 'refused': {
      const ofTheWhole = outcome.problems.filter(({ field }) => field === 'input');
      return (
        <Callout.Root color="red" role="alert" highContrast>
          <Callout.Text>{ofTheWhole.map(({ message }) => message).join(' ') || words.problems}</Callout.Text>
        </Callout.Root>
      );
    }
    default:
      return outcome satisfies never;
  }
}

function Choice({
  label,
  help,
  checked,
  onChange,
}: {
  label: string;
  help: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  return (
    <Text as="label" size="2" className={styles.choice}>
      <Switch checked={checked} onCheckedChange={onChange} />
      <span>
        <Text as="span" weight="medium" className={styles.choiceLabel}>
          {label}
        </Text>
        <Text as="span" size="1" color="gray" highContrast>
          {help}
        </Text>
      </span>
    </Text>
  );
}

type Saved = ConnectorData | Exclude<Outcome, { kind: 'none' | 'saved' }>;

function useSave(connector: ConnectorData | null) {
  const locale = useLanguage();
  const [creating, create] = useMutation(CreateConnector);
  const [updating, send] = useMutation(UpdateConnector);

  async function save(draft: Draft, changes: Partial<Draft>): Promise<Saved> {
    const { result, error } = await (connector
      ? send({ id: connector.id, input: update(connector, changes), locale }).then(({ data, error }) => ({
          result: data?.updateConnector,
          error,
        }))
      : create({ input: creation(draft), locale }).then(({ data, error }) => ({
          result: data?.createConnector,
          error,
        })));
    if (!result) {
      return { kind: 'failed', error: error as CombinedError };
    }
    switch (result.__typename) {
      case 'Connector':
        return result;
      case 'InvalidInput':
        return { kind: 'refused', problems: result.problems };
      case 'NotFound':
        return { kind: 'gone', sentence: result.message };
      default:
        return result satisfies never;
    }
  }

  return { saving: creating.fetching || updating.fetching, save };
}
