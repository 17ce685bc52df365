import { Heading, Text } from '@radix-ui/themes';
import { useNow } from '../clock/now.ts';
import { CrmPanels } from '../panel/crm-panels.tsx';
import { panelOfTrial } from '../panel/trial.ts';
import { usePreferences, useWords } from '../preferences/preferences.ts';
import { useViewer } from '../shell/viewer.tsx';
import type { ConnectorData } from './connector.ts';
import { CopyButton } from './copy-button.tsx';
import { asCurl } from './curl.ts';
import { inMilliseconds } from './duration.ts';
import { prettyJson } from './pretty-json.ts';
import { SourceText } from './source-text.tsx';
import { StatusBadge } from './status-badge.tsx';
import type { RequestData, TrialData } from './trial.ts';
import styles from './trial-result.module.css';
import { trialWords } from './trial-words.ts';
import { Warnings } from './warnings.tsx';

/** After these nothing was sent: the connection had not come about. */
const BEFORE_SENDING: ReadonlySet<string> = new Set(['DNS', 'CONNECT', 'TLS', 'BLOCKED_ADDRESS']);

/** All that a test brought: the outcome, the panel, request and answer. */
export function TrialResult({ trial, at, connector }: { trial: TrialData; at: Date; connector: ConnectorData }) {
  const words = useWords(trialWords);
  const { locale } = usePreferences();
  const now = useNow();
  const { guideUrl } = useViewer();
  return (
    <section className={styles.result}>
      <div>
        <p className={styles.summary}>
          <StatusBadge status={trial.status} />
          {trial.httpStatus !== null && <Text size="2">{words.httpStatus(trial.httpStatus)}</Text>}
          <Text size="2">{inMilliseconds(trial.durationMs, locale)}</Text>
        </p>
        {trial.reason && (
          <Text as="p" size="3" className={styles.reason}>
            {trial.reason.message}
          </Text>
        )}
      </div>
      <Warnings warnings={trial.warnings} />
      <div className={styles.columns}>
        <div className={styles.panel}>
          <Heading as="h2" size="2" className={styles.title}>
            {words.panel}
          </Heading>
          <CrmPanels
            panels={[panelOfTrial(trial, connector, { at, helpUrl: guideUrl })]}
            locale={locale}
            now={Math.max(now, at.getTime())}
          />
        </div>
        <Answer trial={trial} logged={connector.logResults} />
      </div>
      {trial.request ? (
        <SourceText
          title={BEFORE_SENDING.has(trial.error?.code ?? '') ? words.wouldBe : words.request}
          text={asText(trial.request)}
        >
          <CopyButton text={asCurl(trial.request)} label={words.asCurl} />
        </SourceText>
      ) : (
        <Text as="p" size="2">
          {words.noRequest}
        </Text>
      )}
    </section>
  );
}

function Answer({ trial, logged }: { trial: TrialData; logged: boolean }) {
  const words = useWords(trialWords);
  if (trial.response) {
    return <SourceText title={words.answer} text={prettyJson(trial.response)} />;
  }
  const why = trial.httpStatus === null ? words.noAnswer : logged ? words.emptyAnswer : words.notLogged;
  return (
    <div>
      <Heading as="h2" size="2" className={styles.title}>
        {words.answer}
      </Heading>
      <Text as="p" size="2" color="gray" highContrast>
        {why}
      </Text>
    </div>
  );
}

function asText({ method, url, headers, body }: RequestData): string {
  return [`${method} ${url}`, ...headers.map(({ name, value }) => `${name}: ${value}`), '', prettyJson(body)].join(
    '\n',
  );
}
