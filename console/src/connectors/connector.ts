import { graphql, type ResultOf } from '../api/graphql.ts';

/** What the settings show of a connector. */
export const ConnectorFragment = graphql(`
  fragment ConnectorSettings on Connector @_unmask {
    id
    name
    lookupUrl
    secretHeaderName
    hasSecret
    linkTemplate
    cacheTtlHours
    logResults
    enabled
    health {
      state
      since
      failuresInARow
      nextProbeAt
      lastSuccessAt
      p50Ms
      p95Ms
    }
    secret {
      fingerprint
      changedAt
      lastUsedAt
      previous {
        fingerprint
        restorableUntil
      }
    }
    signing {
      fingerprint
      changedAt
      previousUntil
    }
  }
`);

export type ConnectorData = ResultOf<typeof ConnectorFragment>;
export type HealthData = ConnectorData['health'];

/** How many a workspace can have. */
export const MOST_CONNECTORS = 25;

/** The host that is asked, with its port where that is unusual; the whole text where it is no URL. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}

/** Whether two URLs share scheme, host and port: only then does a stored secret go along. */
export function sameOrigin(one: string, other: string): boolean {
  return URL.canParse(one) && URL.canParse(other) && new URL(one).origin === new URL(other).origin;
}
