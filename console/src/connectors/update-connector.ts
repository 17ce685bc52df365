import { graphql } from '../api/graphql.ts';
import { ConnectorFragment } from './connector.ts';

export const UpdateConnector = graphql(
  `
    mutation UpdateConnector($id: ID!, $input: UpdateConnectorInput!, $locale: Locale!) {
      updateConnector(id: $id, input: $input) {
        __typename
        ...ConnectorSettings
        ... on InvalidInput {
          problems {
            field
            message(locale: $locale)
          }
        }
        ... on NotFound {
          message(locale: $locale)
        }
      }
    }
  `,
  [ConnectorFragment],
);
