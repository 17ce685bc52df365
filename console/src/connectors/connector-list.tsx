import {
  type Announcements,
  closestCenter,
  DndContext,
  type DragEndEvent,
  KeyboardSensor,
  PointerSensor,
  type UniqueIdentifier,
  useSensor,
  useSensors,
} from '@dnd-kit/core';
import { restrictToVerticalAxis } from '@dnd-kit/modifiers';
import {
  arrayMove,
  SortableContext,
  sortableKeyboardCoordinates,
  verticalListSortingStrategy,
} from '@dnd-kit/sortable';
import { PlusIcon } from '@radix-ui/react-icons';
import { Button, Heading, Text } from '@radix-ui/themes';
import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { useWords } from '../preferences/preferences.ts';
import { Notice } from '../shell/notice.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { type ConnectorData, MOST_CONNECTORS } from './connector.ts';
import styles from './connector-list.module.css';
import { ConnectorRow, ConnectorRowSkeleton } from './connector-row.tsx';
import { GuideLink } from './guide-link.tsx';
import { listWords } from './list-words.ts';
import { RefusalNote } from './refusal-note.tsx';
import { type Refusal, useConnectors } from './use-connectors.ts';
import { connectorWords } from './words.ts';

type Told = Readonly<{ refusal: Refusal; consequence: string }>;

/** Every connector in panel order, how it fares, and its switch. */
export function ConnectorList() {
  const words = useWords(listWords);
  const { connectors, error, reload, arrange, enable } = useConnectors();
  const [told, setTold] = useState<Told | null>(null);
  const [done, setDone] = useState('');
  const reloadSoon = useSoon(reload);

  async function toggle(connector: ConnectorData, enabled: boolean) {
    const refusal = await enable(connector.id, enabled);
    setTold(refusal && { refusal, consequence: words.notToggled(connector.name) });
    setDone(refusal ? '' : (enabled ? words.turnedOn : words.turnedOff)(connector.name));
  }

  async function reorder(ids: readonly string[]) {
    const refusal = await arrange(ids);
    setTold(refusal && { refusal, consequence: words.notMoved });
  }

  return (
    <>
      <ListHead full={(connectors?.length ?? 0) >= MOST_CONNECTORS} />
      {error && <Trouble error={error} onRetry={reload} />}
      {told && <RefusalNote {...told} />}
      {!connectors && !error && (
        <ul className={styles.rows} aria-busy="true">
          <ConnectorRowSkeleton />
          <ConnectorRowSkeleton />
          <ConnectorRowSkeleton />
        </ul>
      )}
      {connectors?.length === 0 && (
        <Notice title={words.empty}>
          <Text as="p" className={styles.emptyNext}>
            {words.emptyNext}
          </Text>
          <GuideLink />
        </Notice>
      )}
      {connectors && connectors.length > 0 && (
        <Sorting connectors={connectors} onArrange={reorder}>
          <ul className={styles.rows}>
            {connectors.map((connector) => (
              <ConnectorRow
                key={connector.id}
                connector={connector}
                onToggle={(enabled) => toggle(connector, enabled)}
                onLookupEnd={reloadSoon}
              />
            ))}
          </ul>
        </Sorting>
      )}
      <div role="status" className="visually-hidden">
        {done}
      </div>
    </>
  );
}

function ListHead({ full }: { full: boolean }) {
  const words = useWords(listWords);
  const { title } = useWords(connectorWords);
  return (
    <div className={styles.head}>
      <div>
        <Heading as="h1" size="5">
          {title}
        </Heading>
        <Text as="p" size="2" color="gray" highContrast className={styles.lead}>
          {full ? words.full : words.lead}
        </Text>
      </div>
      {!full && (
        <Button asChild>
          <Link href="/settings/new">
            <PlusIcon /> {words.add}
          </Link>
        </Button>
      )}
    </div>
  );
}

function Sorting({
  connectors,
  onArrange,
  children,
}: {
  connectors: readonly ConnectorData[];
  onArrange: (ids: readonly string[]) => void;
  children: ReactNode;
}) {
  const words = useWords(listWords);
  const ids = connectors.map(({ id }) => id);
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 4 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );

  function drop({ active, over }: DragEndEvent) {
    if (over && over.id !== active.id) {
      onArrange(arrayMove(ids, ids.indexOf(String(active.id)), ids.indexOf(String(over.id))));
    }
  }

  const nameOf = (id: UniqueIdentifier) => connectors.find((connector) => connector.id === id)?.name ?? '';
  const place = (id: UniqueIdentifier) => ids.indexOf(String(id)) + 1;
  // A connector that was just picked up is over itself: that is no move yet.
  const told = useRef<UniqueIdentifier | undefined>(undefined);
  const announcements: Announcements = {
    onDragStart: ({ active }) => {
      told.current = active.id;
      return words.picked(nameOf(active.id), place(active.id), ids.length);
    },
    onDragOver: ({ active, over }) => {
      if (!over || over.id === told.current) {
        return undefined;
      }
      told.current = over.id;
      return words.moved(nameOf(active.id), place(over.id), ids.length);
    },
    onDragEnd: ({ active, over }) => words.dropped(nameOf(active.id), place((over ?? active).id), ids.length),
    onDragCancel: ({ active }) => words.cancelled(nameOf(active.id)),
  };

  return (
    <DndContext
      sensors={sensors}
      collisionDetection={closestCenter}
      modifiers={[restrictToVerticalAxis]}
      accessibility={{ announcements, screenReaderInstructions: { draggable: words.instructions } }}
      onDragEnd={drop}
    >
      <SortableContext items={ids} strategy={verticalListSortingStrategy}>
        {children}
      </SortableContext>
      {connectors.length > 1 && (
        <Text as="p" size="1" color="gray" highContrast className={styles.order}>
          {words.order}
        </Text>
      )}
    </DndContext>
  );
}

const SOON_MS = 1_000;

/** Calls `act` once, a moment after the last of several wishes. */
function useSoon(act: () => void): () => void {
  const waiting = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(
    () => () => {
      clearTimeout(waiting.current);
      waiting.current = undefined;
    },
    [],
  );
  return useCallback(() => {
    waiting.current ??= setTimeout(() => {
      waiting.current = undefined;
      act();
    }, SOON_MS);
  }, [act]);
}
