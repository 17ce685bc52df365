import { useSortable } from '@dnd-kit/sortable';
import { CSS } from '@dnd-kit/utilities';
import { DragHandleDots2Icon } from '@radix-ui/react-icons';
import { Badge, IconButton, Skeleton, Switch, Text } from '@radix-ui/themes';
import { Link } from 'wouter';
import { useWords } from '../preferences/preferences.ts';
import { type ConnectorData, hostOf } from './connector.ts';
import styles from './connector-row.module.css';
import { useUnsaved } from './drafts.ts';
import { Health } from './health.tsx';
import { listWords } from './list-words.ts';
import { Sparkline } from './sparkline.tsx';
import { useRecentLookups } from './use-recent-lookups.ts';
import { connectorWords } from './words.ts';

const PLACEHOLDER = '\u2007'.repeat(16);

/** One connector at a glance. */
export function ConnectorRow({
  connector,
  onToggle,
  onLookupEnd,
}: {
  connector: ConnectorData;
  onToggle: (enabled: boolean) => void;
  onLookupEnd: () => void;
}) {
  const words = useWords(listWords);
  const shared = useWords(connectorWords);
  const unsaved = useUnsaved().has(connector.id);
  const lookups = useRecentLookups(connector.id, onLookupEnd);
  const { id, name } = connector;
  const { attributes, listeners, setNodeRef, setActivatorNodeRef, transform, transition, isDragging } = useSortable({
    id,
    attributes: { roleDescription: words.gripRole },
  });
  return (
    <li
      ref={setNodeRef}
      className={styles.row}
      data-dragging={isDragging || undefined}
      style={{ transform: CSS.Translate.toString(transform), transition }}
    >
      <IconButton
        {...attributes}
        {...listeners}
        ref={setActivatorNodeRef}
        variant="ghost"
        color="gray"
        highContrast
        className={styles.grip}
        aria-label={words.grip(name)}
      >
        <DragHandleDots2Icon />
      </IconButton>
      <div className={styles.what}>
        <div className={styles.title}>
          <Link href={`/settings/${id}`} className={styles.name}>
            {name}
          </Link>
          {unsaved && (
            <Badge color="yellow" highContrast>
              {shared.unsaved}
            </Badge>
          )}
        </div>
        <Text as="div" size="2" color="gray" highContrast truncate>
          {hostOf(connector.lookupUrl)}
        </Text>
      </div>
      <div className={styles.health}>
        <Health connector={connector} />
      </div>
      <div className={styles.recent}>
        <Sparkline lookups={lookups} />
      </div>
      <div className={styles.links}>
        <Link href={`/settings/${id}/test`} aria-label={words.testIt(name)}>
          {shared.test}
        </Link>
        <Link href={`/settings/${id}/log`} aria-label={words.logOf(name)}>
          {shared.log}
        </Link>
      </div>
      <Switch
        className={styles.switch}
        checked={connector.enabled}
        onCheckedChange={onToggle}
        aria-label={words.toggle(name)}
      />
    </li>
  );
}

export function ConnectorRowSkeleton() {
  return (
    <li className={styles.row}>
      <span className={styles.grip} />
      <div className={styles.what}>
        <Skeleton>{PLACEHOLDER}</Skeleton>
      </div>
      <div className={styles.health}>
        <Skeleton>{PLACEHOLDER}</Skeleton>
      </div>
    </li>
  );
}
