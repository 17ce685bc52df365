import type { CombinedError } from '@urql/core';
import { bilingual } from '../words/words.ts';

type Code = 'UNAUTHENTICATED' | 'FORBIDDEN' | 'BAD_REQUEST' | 'LIMIT_EXCEEDED' | 'UNAVAILABLE' | 'INTERNAL';

const CODES = bilingual<Record<Code, string> & { unreachable: string; reference: (id: string) => string }>(
  {
    unreachable: 'The server does not answer at the moment. Try again shortly.',
    UNAUTHENTICATED: 'The server no longer accepts your token. Sign in again.',
    FORBIDDEN: 'Only admins may do this.',
    BAD_REQUEST: 'The server did not understand the request. Reload the page: it may be of an older version.',
    LIMIT_EXCEEDED: 'That was too much at once. Try it in smaller steps.',
    UNAVAILABLE: 'The database cannot be reached at the moment. Nothing is lost; try again shortly.',
    INTERNAL: 'Something went wrong on the server.',
    reference: (id) => `For the operator: request ${id}.`,
  },
  {
    unreachable: 'Server teď neodpovídá. Zkuste to za chvíli znovu.',
    UNAUTHENTICATED: 'Server už váš token nepřijímá. Přihlaste se znovu.',
    FORBIDDEN: 'Tohle smí jen správce.',
    BAD_REQUEST: 'Server požadavku nerozuměl. Načtěte stránku znovu: může být starší verze.',
    LIMIT_EXCEEDED: 'To bylo najednou příliš. Zkuste to po menších krocích.',
    UNAVAILABLE: 'Databáze teď není dostupná. Nic se neztratilo; zkuste to za chvíli znovu.',
    INTERNAL: 'Na serveru se něco pokazilo.',
    reference: (id) => `Pro provozovatele: požadavek ${id}.`,
  },
);

/** The words for errors that an operation can end in, apart from the refusals that are part of its result. */
export const troubleWords = CODES;

/** One sentence for the person in front of the screen. */
export function sentenceFor(error: CombinedError, words: (typeof CODES)['en']): string {
  const { code, requestId } = error.graphQLErrors[0]?.extensions ?? {};
  if (!isCode(code)) {
    return words.unreachable;
  }
  return code === 'INTERNAL' && typeof requestId === 'string'
    ? `${words.INTERNAL} ${words.reference(requestId)}`
    : words[code];
}

function isCode(value: unknown): value is Code {
  return typeof value === 'string' && value in CODES.en && value === value.toUpperCase();
}
