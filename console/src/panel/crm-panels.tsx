import { useEffect, useRef, useState } from 'react';
import { changesToTell } from './change.ts';
import { CrmPanel, type Setting } from './crm-panel.tsx';
import type { CrmPanelData } from './fragment.ts';
import { panelWords } from './words.ts';

type Told = Readonly<{ turn: number; sentence: string }>;

/** The panels of a ticket, one per connector; what changes is told to a screen reader, too. */
export function CrmPanels({
  panels,
  onRefresh,
  ...setting
}: Setting & { panels: readonly CrmPanelData[]; onRefresh?: (connectorId: string) => void }) {
  const told = useChangesTold(panels, setting);
  return (
    <div className="disqua-panels" part="panels">
      {panels.map((panel) => (
        <CrmPanel
          key={panel.id}
          panel={panel}
          onRefresh={onRefresh && (() => onRefresh(panel.connectorId))}
          {...setting}
        />
      ))}
      <div role="status" className="disqua-hidden" lang={setting.locale}>
        <span key={told.turn}>{told.sentence}</span>
      </div>
    </div>
  );
}

/** The turn makes the same sentence new: it is said again when the same thing happens again. */
function useChangesTold(panels: readonly CrmPanelData[], { locale }: Setting): Told {
  const [told, setTold] = useState<Told>({ turn: 0, sentence: '' });
  const seen = useRef(panels);
  useEffect(() => {
    const sentences = changesToTell(seen.current, panels, panelWords[locale]);
    seen.current = panels;
    if (sentences.length > 0) {
      setTold(({ turn }) => ({ turn: turn + 1, sentence: sentences.join(' ') }));
    }
  }, [panels, locale]);
  return told;
}
