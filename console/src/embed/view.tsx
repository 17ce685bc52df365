import { useNow } from '../clock/now.ts';
import { CrmPanels } from '../panel/crm-panels.tsx';
import type { CrmPanelData } from '../panel/fragment.ts';
import { Skeleton } from '../panel/skeleton.tsx';
import { panelWords } from '../panel/words.ts';
import type { Locale } from '../words/words.ts';
import type { Trouble } from './trouble.ts';
import { embedWords } from './words.ts';

/** What the element shows: `panels` are null until the first are there. */
export type Shown = Readonly<{ panels: readonly CrmPanelData[] | null; trouble: Trouble | null; locale: Locale }>;

export function View({ panels, trouble, locale, onRefresh }: Shown & { onRefresh: (connectorId: string) => void }) {
  const now = useNow();
  const words = embedWords[locale];
  return (
    <>
      <p className="disqua-trouble" part="trouble" role="status" lang={locale} hidden={!trouble}>
        {trouble && words.trouble[trouble.code]}
      </p>
      {panels ? (
        <CrmPanels panels={panels} locale={locale} now={now} onRefresh={onRefresh} />
      ) : (
        !trouble && <Loading locale={locale} />
      )}
      {panels?.length === 0 && (
        <p className="disqua-none" part="none" lang={locale}>
          {words.none}
        </p>
      )}
    </>
  );
}

function Loading({ locale }: { locale: Locale }) {
  return (
    <div className="disqua-panels">
      <div className="disqua-panel" part="panel" lang={locale} aria-busy="true">
        <Skeleton words={panelWords[locale]} />
      </div>
    </div>
  );
}
