import type { CrmCustomerData, CrmPanelData, LookupErrorData } from './fragment.ts';

/** What the CRM said last, and when; a null customer is one it does not know. */
export type LastAnswer = Readonly<{ customer: CrmCustomerData | null; fetchedAt: string | null }>;

/** What a panel has to tell, as one of a kind each. */
export type Outcome =
  | Readonly<{ kind: 'asking' }>
  | Readonly<{ kind: 'unasked' }>
  | Readonly<{ kind: 'found'; customer: CrmCustomerData }>
  | Readonly<{ kind: 'notFound'; helpUrl: string | null }>
  | Readonly<{ kind: 'failed'; error: LookupErrorData; last: LastAnswer | null }>;

const NOTHING_KNOWN: CrmCustomerData = { customerId: null, name: null, badge: null, fields: [], deepLink: null };

export function outcomeOf(panel: CrmPanelData): Outcome {
  switch (panel.status) {
    case 'PENDING':
      return { kind: panel.refreshing ? 'asking' : 'unasked' };
    case 'FOUND':
      return { kind: 'found', customer: panel.customer ?? NOTHING_KNOWN };
    case 'NOT_FOUND':
      return { kind: 'notFound', helpUrl: panel.helpUrl };
    case 'ERROR':
    case 'TIMEOUT':
      return {
        kind: 'failed',
        error: panel.error ?? { code: panel.status === 'TIMEOUT' ? 'TIMEOUT' : 'PROTOCOL', httpStatus: null },
        last: panel.stale ? { customer: panel.customer, fetchedAt: panel.fetchedAt } : null,
      };
    default:
      return panel.status satisfies never;
  }
}
