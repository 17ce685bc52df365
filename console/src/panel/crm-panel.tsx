import type { Locale } from '../words/words.ts';
import { Badge } from './badge.tsx';
import { Customer } from './customer.tsx';
import { useFadeIn } from './fade-in.ts';
import { failureSentence } from './failure.ts';
import { Fetched } from './fetched.tsx';
import type { CrmPanelData, LookupErrorData } from './fragment.ts';
import { type LastAnswer, type Outcome, outcomeOf } from './outcome.ts';
import { RefreshButton } from './refresh-button.tsx';
import { Skeleton } from './skeleton.tsx';
import { Unknown } from './unknown.tsx';
import { type PanelWords, panelWords } from './words.ts';

/** In which language, and at what time in ms since 1970. */
export type Setting = Readonly<{ locale: Locale; now: number }>;

/** What one connector knows of the requester. Without `onRefresh` it only shows. */
export function CrmPanel({
  panel,
  onRefresh,
  ...setting
}: Setting & { panel: CrmPanelData; onRefresh?: (() => void) | undefined }) {
  const words = panelWords[setting.locale];
  const outcome = outcomeOf(panel);
  const answered = outcome.kind === 'found' || outcome.kind === 'notFound';
  const body = useFadeIn<HTMLDivElement>(`${panel.status} ${panel.fetchedAt}`);
  return (
    <article
      className="disqua-panel"
      part="panel"
      lang={setting.locale}
      aria-label={panel.connectorName}
      aria-busy={panel.refreshing}
      data-status={panel.status}
    >
      <header className="disqua-header" part="header">
        <h2 className="disqua-title" part="title">
          {panel.connectorName}
        </h2>
        <span className="disqua-header-end">
          {answered && panel.fetchedAt && <Fetched at={panel.fetchedAt} {...setting} />}
          {onRefresh && outcome.kind !== 'unasked' && (
            <RefreshButton
              connectorName={panel.connectorName}
              refreshing={panel.refreshing}
              onRefresh={onRefresh}
              words={words}
            />
          )}
        </span>
      </header>
      <div className="disqua-body" ref={body}>
        <Told outcome={outcome} onRefresh={onRefresh} words={words} />
        {panel.paused && (
          <p className="disqua-note" part="paused">
            {words.paused}
          </p>
        )}
        {outcome.kind === 'failed' && outcome.last && <Stale last={outcome.last} {...setting} />}
      </div>
    </article>
  );
}

function Told({
  outcome,
  onRefresh,
  words,
}: {
  outcome: Outcome;
  onRefresh?: (() => void) | undefined;
  words: PanelWords;
}) {
  switch (outcome.kind) {
    case 'asking':
      return <Skeleton words={words} />;
    case 'unasked':
      return (
        <p className="disqua-line">
          <span className="disqua-muted">{words.unasked}</span>
          {onRefresh && (
            <button type="button" className="disqua-ask" part="ask" onClick={onRefresh}>
              {words.ask}
            </button>
          )}
        </p>
      );
    case 'found':
      return <Customer customer={outcome.customer} words={words} />;
    case 'notFound':
      return (
        <div className="disqua-line">
          <Unknown helpUrl={outcome.helpUrl} words={words} />
        </div>
      );
    case 'failed':
      return <Failed error={outcome.error} words={words} />;
    default:
      return outcome satisfies never;
  }
}

function Failed({ error, words }: { error: LookupErrorData; words: PanelWords }) {
  return (
    <>
      <p className="disqua-line">
        {error.code === 'TIMEOUT' ? (
          <Badge text={words.timeout} color="YELLOW" />
        ) : (
          <Badge text={words.error} color="RED" />
        )}
        {error.httpStatus !== null && <span className="disqua-muted">HTTP {error.httpStatus}</span>}
      </p>
      <p className="disqua-why" part="error">
        {failureSentence(error, words.failure)}
      </p>
    </>
  );
}

/** What was known before the newest lookup failed. */
function Stale({ last, ...setting }: Setting & { last: LastAnswer }) {
  const words = panelWords[setting.locale];
  return (
    <div className="disqua-stale" part="stale">
      <p className="disqua-line disqua-muted">
        <span>{words.lastKnown}</span>
        {last.fetchedAt && <Fetched at={last.fetchedAt} {...setting} />}
      </p>
      {last.customer ? (
        <Customer customer={last.customer} words={words} />
      ) : (
        <p className="disqua-muted">{words.wasUnknown}</p>
      )}
    </div>
  );
}
