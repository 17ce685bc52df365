import { Button, Callout, Progress, Text } from '@radix-ui/themes';
import type { CombinedError } from '@urql/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useMutation } from 'urql';
import { useLanguage } from '../api/language.ts';
import { EmailField } from '../forms/email-field.tsx';
import { useWords } from '../preferences/preferences.ts';
import { Trouble } from '../shell/trouble.tsx';
import type { ConnectorData } from './connector.ts';
import type { Errand } from './errand.ts';
import styles from './test-page.module.css';
import { isAnswered, type TrialState, useTrial } from './trial.ts';
import { useTrialAddress } from './trial-address.ts';
import { TrialResult } from './trial-result.tsx';
import { trialWords } from './trial-words.ts';
import { UpdateConnector } from './update-connector.ts';
import { connectorWords } from './words.ts';

/** Asks the endpoint about one address and shows all that came of it. */
export function TestPage({
  connector,
  errand,
  onErrandTaken,
}: {
  connector: ConnectorData;
  errand: Errand | null;
  onErrandTaken: () => void;
}) {
  const words = useWords(trialWords);
  const shared = useWords(connectorWords);
  const [email, typeEmail] = useTrialAddress();
  const { trial, ask, refuse } = useTrial(connector.id);
  const { enable, enabling, enabledNow, error } = useEnabling(connector.id);
  const form = useRef<HTMLFormElement>(null);
  const taken = useRef<Errand | null>(null);

  useEffect(() => {
    if (errand && taken.current !== errand) {
      taken.current = errand;
      typeEmail(errand.email);
      void runErrand(errand);
    }
  });

  useEffect(() => {
    if (trial.state === 'refused') {
      form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    }
  }, [trial]);

  async function runErrand({ email: wanted, thenEnable }: Errand) {
    const ended = await ask(wanted);
    if (thenEnable && ended.state === 'brought' && isAnswered(ended.trial)) {
      await enable();
    }
    onErrandTaken();
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    if (email.trim() === '') {
      refuse([{ field: 'email', message: words.emailMissing }]);
    } else {
      void ask(email.trim());
    }
  }

  return (
    <div className={styles.test}>
      <form ref={form} className={styles.ask} onSubmit={submit} noValidate>
        <div className={styles.email}>
          <EmailField
            name="email"
            label={shared.email}
            help={words.lead}
            problems={trial.state === 'refused' ? trial.problems : []}
            value={email}
            onType={typeEmail}
          />
        </div>
        <Button type="submit" loading={trial.state === 'asking'}>
          {words.test}
        </Button>
      </form>
      {error && <Trouble error={error} />}
      {enabledNow ? (
        <Callout.Root color="green" role="status" highContrast>
          <Callout.Text>
            {trial.state === 'brought' && isAnswered(trial.trial) ? words.enabledNow : words.enabledAnyway}
          </Callout.Text>
        </Callout.Root>
      ) : (
        !connector.enabled && (
          <SwitchedOff trial={trial} tried={taken.current?.thenEnable === true} onEnable={enable} enabling={enabling} />
        )
      )}
      <div aria-live="polite" className={styles.result}>
        <Progression trial={trial} connector={connector} />
      </div>
    </div>
  );
}

function Progression({ trial, connector }: { trial: TrialState; connector: ConnectorData }) {
  const words = useWords(trialWords);
  switch (trial.state) {
    case 'idle':
    case 'refused':
      return null;
    case 'asking':
      return (
        <div>
          <Text as="p" size="2" className={styles.asking}>
            {words.asking}
          </Text>
          <Progress duration="3s" aria-label={words.asking} />
        </div>
      );
    case 'failed':
      return <Trouble error={trial.error} />;
    case 'gone':
      return (
        <Callout.Root color="red" role="alert" highContrast>
          <Callout.Text>{trial.sentence}</Callout.Text>
        </Callout.Root>
      );
    case 'brought':
      return <TrialResult trial={trial.trial} at={trial.at} connector={connector} />;
    default:
      return trial satisfies never;
  }
}

/** A connector that is off can be tested, and switched on by whoever has seen what it does. */
function SwitchedOff({
  trial,
  tried,
  enabling,
  onEnable,
}: {
  trial: TrialState;
  /** Whether a trial was to decide it. */
  tried: boolean;
  enabling: boolean;
  onEnable: () => void;
}) {
  const words = useWords(trialWords);
  if (trial.state === 'asking' || enabling) {
    return null;
  }
  const failed = trial.state === 'brought' && !isAnswered(trial.trial);
  return (
    <Callout.Root color={failed ? 'yellow' : 'gray'} role={failed ? 'alert' : undefined} highContrast>
      <Callout.Text>
        {failed && tried ? words.staysOff : words.isOff}{' '}
        <Button variant="ghost" onClick={onEnable} highContrast>
          {failed ? words.enableAnyway : words.enable}
        </Button>
      </Callout.Text>
    </Callout.Root>
  );
}

function useEnabling(id: string) {
  const locale = useLanguage();
  const [{ fetching }, send] = useMutation(UpdateConnector);
  const [error, setError] = useState<CombinedError | null>(null);
  const [enabledNow, setEnabledNow] = useState(false);

  async function enable() {
    const ended = await send({ id, input: { enabled: true }, locale });
    setError(ended.error ?? null);
    setEnabledNow(ended.data?.updateConnector.__typename === 'Connector');
  }

  return { enable, enabling: fetching, enabledNow, error };
}
