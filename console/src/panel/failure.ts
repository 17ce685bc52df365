import type { LookupErrorData } from './fragment.ts';
import type { FailureWords } from './words.ts';

/** Why a lookup failed, in a plain sentence. */
export function failureSentence({ code, httpStatus }: LookupErrorData, words: FailureWords): string {
  return code === 'HTTP_STATUS' ? statusSentence(httpStatus, words) : words.codes[code];
}

function statusSentence(status: number | null, words: FailureWords): string {
  if (status === null) {
    return words.otherStatus;
  }
  if (hasWords(status, words.statuses)) {
    return words.statuses[status];
  }
  if (status >= 500) {
    return words.broken;
  }
  return status >= 400 ? words.refused : words.otherStatus;
}

function hasWords<T extends object>(status: number, statuses: T): status is number & keyof T {
  return Object.hasOwn(statuses, status);
}
