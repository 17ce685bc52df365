import { graphql, type ResultOf } from '../api/graphql.ts';

export const CrmCustomerFragment = graphql(`
  fragment CrmCustomer on CrmCustomer @_unmask {
    customerId
    name
    badge { text color }
    fields { key value }
    deepLink
  }
`);

/** All that a panel shows. It leaves `badge` out: the words for an outcome change with the language, without asking again. */
export const CrmPanelFragment = graphql(
  `
    fragment CrmPanel on CrmPanel @_unmask {
      id
      connectorId
      connectorName
      status
      refreshing
      stale
      paused
      customer { ...CrmCustomer }
      error { code httpStatus }
      helpUrl
      fetchedAt
      expiresAt
    }
  `,
  [CrmCustomerFragment],
);

export type CrmPanelData = ResultOf<typeof CrmPanelFragment>;
export type CrmCustomerData = ResultOf<typeof CrmCustomerFragment>;
export type LookupErrorData = NonNullable<CrmPanelData['error']>;
export type LookupErrorCode = LookupErrorData['code'];
export type BadgeData = NonNullable<CrmCustomerData['badge']>;
