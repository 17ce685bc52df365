import { ReloadIcon } from '@radix-ui/react-icons';
import { Button, Heading, Text } from '@radix-ui/themes';
import { Link } from 'wouter';
import { useNow } from '../clock/now.ts';
import { CrmPanels } from '../panel/crm-panels.tsx';
import { usePreferences, useWords } from '../preferences/preferences.ts';
import { Trouble } from '../shell/trouble.tsx';
import { useViewer } from '../shell/viewer.tsx';
import type { OpenTicket } from './ticket-page.tsx';
import styles from './ticket-panels.module.css';
import { usePanels } from './use-panels.ts';
import { ticketWords } from './words.ts';

/** What each connector knows of the requester, live; `reread` reads the ticket again. */
export function TicketPanels({ ticket, reread }: { ticket: OpenTicket; reread: () => void }) {
  const words = useWords(ticketWords);
  const { locale } = usePreferences();
  const now = useNow();
  const { panels, refresh, error } = usePanels(ticket.id, { read: ticket.crmPanels, reread });
  return (
    <section className={styles.panels}>
      <div className={styles.head}>
        <Heading as="h2" size="3">
          {words.panels}
        </Heading>
        {panels.length > 1 && (
          <Button
            size="1"
            variant="soft"
            disabled={panels.every((panel) => panel.refreshing)}
            onClick={() => refresh(null)}
          >
            <ReloadIcon /> {words.refreshAll}
          </Button>
        )}
      </div>
      {error && <Trouble error={error} />}
      {panels.length === 0 ? (
        <NoPanels ticket={ticket} />
      ) : (
        <CrmPanels panels={panels} locale={locale} now={now} onRefresh={refresh} />
      )}
    </section>
  );
}

function NoPanels({ ticket }: { ticket: OpenTicket }) {
  const words = useWords(ticketWords);
  const { role } = useViewer();
  return (
    <Text as="p" size="2" color="gray" highContrast className={styles.none}>
      {ticket.requester === null ? (
        words.noPanelsWithoutRequester
      ) : ticket.automatic ? (
        words.noPanelsForBounce
      ) : (
        <>
          {words.noConnectors}{' '}
          {role === 'ADMIN' ? <Link href="/settings/new">{words.addConnector}</Link> : words.askAdmin}
        </>
      )}
    </Text>
  );
}
