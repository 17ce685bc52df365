import { bilingual } from '../words/words.ts';

export const listWords = bilingual(
  {
    lead: 'Each connector asks one system of yours who is writing, and has a panel beside the ticket.',
    add: 'Add a connector',
    full: 'A workspace can have 25 connectors. Delete one to add another.',
    empty: 'No connector yet',
    emptyNext:
      'A connector asks your CRM, shop or database who is writing: a mail comes, we POST its address to your endpoint, and what it answers stands beside the ticket within seconds. You need one small HTTP endpoint; the guide has it ready in Node, PHP and Python.',
    order:
      'The panels of a ticket stand in this order. Drag a connector by its handle, or with the handle in focus press Space, move it by the arrow keys and press Space again.',
    grip: (name: string) => `Move ${name}`,
    gripRole: 'movable',
    instructions:
      'To pick up a connector press Space. While it is picked up, move it by the arrow keys. Space drops it, Escape puts it back.',
    picked: (name: string, place: number, count: number) => `Picked up ${name}, place ${place} of ${count}.`,
    moved: (name: string, place: number, count: number) => `${name} is now at place ${place} of ${count}.`,
    dropped: (name: string, place: number, count: number) => `${name} dropped at place ${place} of ${count}.`,
    cancelled: (name: string) => `${name} is back where it was.`,
    notMoved: 'The order stays as it was.',
    toggle: (name: string) => `${name} is on`,
    turnedOn: (name: string) => `${name} is on: it has a panel and is asked.`,
    turnedOff: (name: string) => `${name} is off: no panel, no lookups.`,
    notToggled: (name: string) => `${name} stays as it was.`,
    testIt: (name: string) => `Test ${name}`,
    logOf: (name: string) => `Log of ${name}`,
  },
  {
    lead: 'Každý connector se ptá jednoho vašeho systému, kdo píše, a má vlastní panel vedle ticketu.',
    add: 'Přidat connector',
    full: 'Pracovní prostor může mít 25 connectorů. Další přidáte, až některý smažete.',
    empty: 'Zatím žádný connector',
    emptyNext:
      'Connector se zeptá vašeho CRM, e-shopu nebo databáze, kdo píše: přijde e-mail, jeho adresu pošleme metodou POST na váš endpoint a odpověď je během pár sekund vedle ticketu. Stačí jeden malý HTTP endpoint; průvodce ho má hotový v Node, PHP i Pythonu.',
    order:
      'V tomto pořadí stojí panely u ticketu. Connector přetáhněte za úchyt, nebo na úchytu stiskněte mezerník, přesuňte ho šipkami a mezerníkem zase pusťte.',
    grip: (name: string) => `Přesunout ${name}`,
    gripRole: 'přesouvatelné',
    instructions:
      'Connector uchopíte mezerníkem. Uchopený ho přesouváte šipkami, mezerníkem ho pustíte a klávesou Escape vrátíte.',
    picked: (name: string, place: number, count: number) => `Uchopeno: ${name}, ${place}. místo z ${count}.`,
    moved: (name: string, place: number, count: number) => `${name} je teď na ${place}. místě z ${count}.`,
    dropped: (name: string, place: number, count: number) => `Puštěno: ${name}, ${place}. místo z ${count}.`,
    cancelled: (name: string) => `${name} je zpátky na svém místě.`,
    notMoved: 'Pořadí zůstává, jak bylo.',
    toggle: (name: string) => `${name} je zapnutý`,
    turnedOn: (name: string) => `${name} je zapnutý: má panel a ptáme se ho.`,
    turnedOff: (name: string) => `${name} je vypnutý: nemá panel a neptáme se ho.`,
    notToggled: (name: string) => `${name} zůstává, jak byl.`,
    testIt: (name: string) => `Otestovat ${name}`,
    logOf: (name: string) => `Načíst log connectoru ${name}`,
  },
);
