import { Text } from '@radix-ui/themes';
import { useWords } from '../preferences/preferences.ts';
import styles from './duty.module.css';
import { formWords } from './form-words.ts';
import { GuideLink } from './guide-link.tsx';

const REQUEST = `POST /lookup
Content-Type: application/json

{"email": "jan.novak@firma.cz", "ticket_id": "…",
 "workspace_id": "…", "source": "disqua-helpdesk"}`;

const FOUND = `{"found": true, "customer_id": "42",
 "name": "Jan Novák", "badge": "VIP", "badge_color": "green",
 "fields": {"Plan": "Pro", "Seats": 12}}`;

const UNKNOWN = '{"found": false}';

/** What is asked of an endpoint, by example. */
export function Duty() {
  const words = useWords(formWords);
  return (
    <details className={styles.duty}>
      <summary>{words.duty}</summary>
      <div className={styles.examples}>
        <Example title={words.dutyRequest} text={REQUEST} />
        <Example title={words.dutyFound} text={FOUND} />
        <Example title={words.dutyUnknown} text={UNKNOWN} />
        <Text size="2">
          <GuideLink />
        </Text>
      </div>
    </details>
  );
}

function Example({ title, text }: { title: string; text: string }) {
  return (
    <div>
      <Text as="p" size="1">
        {title}
      </Text>
      <pre className={styles.example}>{text}</pre>
    </div>
  );
}
