import { bilingual } from '../words/words.ts';
import type { LookupErrorCode } from './fragment.ts';

export type FailureWords = Readonly<{
  codes: Record<Exclude<LookupErrorCode, 'HTTP_STATUS'>, string>;
  /** Of the statuses that say more than their class does. */
  statuses: Record<401 | 403 | 404 | 405 | 429, string>;
  refused: string;
  broken: string;
  otherStatus: string;
}>;

export type PanelWords = Readonly<{
  refresh: (connector: string) => string;
  refreshing: (connector: string) => string;
  asking: string;
  unasked: string;
  ask: string;
  open: string;
  someone: string;
  unknown: string;
  unknownMeans: string;
  unknownHelp: string;
  error: string;
  timeout: string;
  paused: string;
  lastKnown: string;
  wasUnknown: string;
  fetched: (time: string) => string;
  failure: FailureWords;
  /** What a screen reader says when a panel has changed. */
  told: Readonly<{
    found: (connector: string, customer: string) => string;
    notFound: (connector: string) => string;
    failed: (connector: string, sentence: string) => string;
  }>;
}>;

export const panelWords = bilingual<PanelWords>(
  {
    refresh: (connector) => `Refresh ${connector}`,
    refreshing: (connector) => `Refreshing ${connector}`,
    asking: 'Asking who is writing…',
    unasked: 'Not asked yet.',
    ask: 'Ask now',
    open: 'Open in CRM →',
    someone: 'Customer found',
    unknown: 'Unknown',
    unknownMeans: 'The system was asked and does not know this email address.',
    unknownHelp: 'Why a customer is unknown',
    error: 'Error',
    timeout: 'Timeout (3s)',
    paused: 'The endpoint rests after repeated failures; refreshing by hand still works.',
    lastKnown: 'Last known data',
    wasUnknown: 'When last asked, the system did not know this address.',
    fetched: (time) => `Fetched ${time}`,
    failure: {
      codes: {
        REDIRECT: 'The endpoint redirects elsewhere, and redirects are not followed.',
        INVALID_JSON: 'The answer is not valid JSON.',
        INVALID_RESPONSE: 'The answer does not say whether the customer was found.',
        EMPTY_BODY: 'The answer was empty.',
        TOO_LARGE: 'The answer is larger than 64\u00a0KiB.',
        ENCODING: 'The answer came compressed, which was not asked for.',
        DNS: 'The endpoint’s name could not be resolved.',
        CONNECT: 'No connection to the endpoint could be made.',
        RESET: 'The connection ended before the answer was complete.',
        TLS: 'The endpoint’s certificate could not be trusted.',
        PROTOCOL: 'What came back is not a valid HTTP answer.',
        BLOCKED_ADDRESS: 'The endpoint is at an address that may not be asked.',
        SECRET_UNREADABLE: 'The stored secret cannot be opened; an admin has to enter it again.',
        INTERRUPTED: 'The lookup was interrupted. Refresh to try again.',
        TIMEOUT: 'The endpoint did not answer within 3\u00a0seconds.',
      },
      statuses: {
        401: 'The endpoint does not accept our secret.',
        403: 'The endpoint denies us access.',
        404: 'There is nothing at the endpoint’s address.',
        405: 'The endpoint does not take POST requests.',
        429: 'The endpoint has had too many requests. Try again shortly.',
      },
      refused: 'The endpoint refused the request.',
      broken: 'The endpoint itself has a failure at the moment.',
      otherStatus: 'The endpoint answered with an unexpected status.',
    },
    told: {
      found: (connector, customer) => `${connector}: found, ${customer}`,
      notFound: (connector) => `${connector}: unknown`,
      failed: (connector, sentence) => `${connector}: error. ${sentence}`,
    },
  },
  {
    refresh: (connector) => `Obnovit ${connector}`,
    refreshing: (connector) => `Obnovuje se ${connector}`,
    asking: 'Zjišťuje se, kdo píše…',
    unasked: 'Zatím jsme se neptali.',
    ask: 'Zeptat se',
    open: 'Zobrazit v CRM →',
    someone: 'Zákazník nalezen',
    unknown: 'Neznámý',
    unknownMeans: 'Systému jsme se zeptali a tuto e\u2011mailovou adresu nezná.',
    unknownHelp: 'Proč je zákazník neznámý',
    error: 'Chyba',
    timeout: 'Timeout (3s)',
    paused: 'Endpoint odpočívá po opakovaných chybách; obnovit jde ručně.',
    lastKnown: 'Poslední známá data',
    wasUnknown: 'Při posledním dotazu systém tuto adresu neznal.',
    fetched: (time) => `Zjištěno ${time}`,
    failure: {
      codes: {
        REDIRECT: 'Endpoint přesměrovává jinam a přesměrování nesledujeme.',
        INVALID_JSON: 'Odpověď není platný JSON.',
        INVALID_RESPONSE: 'Odpověď neříká, zda byl zákazník nalezen.',
        EMPTY_BODY: 'Odpověď byla prázdná.',
        TOO_LARGE: 'Odpověď je větší než 64\u00a0KiB.',
        ENCODING: 'Odpověď přišla komprimovaná, o to jsme nežádali.',
        DNS: 'Název serveru endpointu se nepodařilo přeložit na adresu.',
        CONNECT: 'K endpointu se nepodařilo připojit.',
        RESET: 'Spojení se přerušilo dřív, než dorazila celá odpověď.',
        TLS: 'Certifikátu endpointu nelze důvěřovat.',
        PROTOCOL: 'Odpověď není platné HTTP.',
        BLOCKED_ADDRESS: 'Endpoint leží na adrese, na kterou se ptát nesmíme.',
        SECRET_UNREADABLE: 'Uložený secret nejde otevřít, správce ho musí zadat znovu.',
        INTERRUPTED: 'Dotaz byl přerušen. Zkuste ho obnovit.',
        TIMEOUT: 'Endpoint neodpověděl do 3\u00a0sekund.',
      },
      statuses: {
        401: 'Endpoint neuznal náš secret.',
        403: 'Endpoint nám odepřel přístup.',
        404: 'Na adrese endpointu nic není.',
        405: 'Endpoint nepřijímá požadavky POST.',
        429: 'Endpoint dostal příliš mnoho dotazů. Zkuste to za chvíli.',
      },
      refused: 'Endpoint dotaz odmítl.',
      broken: 'Endpoint má právě poruchu na své straně.',
      otherStatus: 'Endpoint odpověděl nečekaným stavem.',
    },
    told: {
      found: (connector, customer) => `${connector}: nalezen, ${customer}`,
      notFound: (connector) => `${connector}: neznámý`,
      failed: (connector, sentence) => `${connector}: chyba. ${sentence}`,
    },
  },
);
