import { graphql, type ResultOf } from '../api/graphql.ts';
import { CrmCustomerFragment, type CrmPanelData } from './fragment.ts';

/** What a panel needs of a trial. */
export const PanelTrialFragment = graphql(
  `
    fragment PanelTrial on LookupTrial @_unmask {
      status
      error { code httpStatus }
      customer { ...CrmCustomer }
    }
  `,
  [CrmCustomerFragment],
);

export type PanelTrialData = ResultOf<typeof PanelTrialFragment>;

/** The panel that an agent would see had the trial been a lookup; `helpUrl` is null where nobody has said it. */
export function panelOfTrial(
  trial: PanelTrialData,
  connector: Readonly<{ id: string; name: string }>,
  { at, helpUrl = null }: { at: Date; helpUrl?: string | null },
): CrmPanelData {
  const answered = trial.status === 'FOUND' || trial.status === 'NOT_FOUND';
  return {
    id: `trial-of-${connector.id}`,
    connectorId: connector.id,
    connectorName: connector.name,
    status: trial.status,
    refreshing: false,
    stale: false,
    paused: false,
    customer: trial.customer,
    error: trial.error,
    helpUrl: trial.status === 'NOT_FOUND' ? helpUrl : null,
    fetchedAt: answered ? at.toISOString() : null,
    expiresAt: null,
  };
}
