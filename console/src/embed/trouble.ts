/** Why the element does not show what it should; the first three wait for somebody, the others pass. */
export type TroubleCode = 'UNAUTHENTICATED' | 'UNKNOWN_TICKET' | 'REFUSED' | 'NO_TOKEN' | 'DISCONNECTED';

export type Trouble = Readonly<{ code: TroubleCode; message: string }>;

/** The server said no to what was asked. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The ticket is not there, or in another workspace. */
export class UnknownTicket extends Error {}

/** The page's own getToken failed. */
export class NoToken extends Error {}

const FORBIDDEN = 4403;
const LASTING = ['BAD_REQUEST', 'FORBIDDEN', 'LIMIT_EXCEEDED'];

export function troubleOf(reason: unknown): Trouble {
  if (reason instanceof UnknownTicket) {
    return { code: 'UNKNOWN_TICKET', message: reason.message };
  }
  if (reason instanceof NoToken) {
    return { code: 'NO_TOKEN', message: reason.message };
  }
  if (reason instanceof CloseEvent && reason.code === FORBIDDEN) {
    return { code: 'UNAUTHENTICATED', message: 'The server does not accept the token, or it has expired.' };
  }
  if (reason instanceof Refusal && LASTING.includes(reason.code)) {
    return { code: 'REFUSED', message: reason.message };
  }
  return { code: 'DISCONNECTED', message: reason instanceof Error ? reason.message : 'The connection was lost.' };
}
