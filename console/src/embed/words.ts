import { bilingual } from '../words/words.ts';
import type { TroubleCode } from './trouble.ts';

type EmbedWords = Readonly<{ none: string; trouble: Record<TroubleCode, string> }>;

export const embedWords = bilingual<EmbedWords>(
  {
    none: 'There is no CRM to ask about this ticket.',
    trouble: {
      UNAUTHENTICATED: 'Your sign-in has expired or is not valid.',
      UNKNOWN_TICKET: 'This ticket is not here.',
      REFUSED: 'The server refused the request.',
      NO_TOKEN: 'Signing in does not work at the moment; trying again…',
      DISCONNECTED: 'The connection was lost; reconnecting…',
    },
  },
  {
    none: 'U tohoto ticketu se není koho ptát.',
    trouble: {
      UNAUTHENTICATED: 'Přihlášení vypršelo nebo neplatí.',
      UNKNOWN_TICKET: 'Tento ticket tu není.',
      REFUSED: 'Server požadavek odmítl.',
      NO_TOKEN: 'Přihlášení se teď nedaří, zkoušíme to znovu…',
      DISCONNECTED: 'Spojení se přerušilo, obnovujeme ho…',
    },
  },
);
