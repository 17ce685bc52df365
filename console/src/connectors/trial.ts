import type { CombinedError } from '@urql/core';
import { useState } from 'react';
import { useMutation } from 'urql';
import { graphql, type ResultOf } from '../api/graphql.ts';
import { useLanguage } from '../api/language.ts';
import type { Problem } from '../forms/field.tsx';
import { PanelTrialFragment } from '../panel/trial.ts';

export const TrialFragment = graphql(
  `
    fragment Trial on LookupTrial @_unmask {
      ...PanelTrial
      httpStatus
      durationMs
      reason: error {
        message(locale: $locale)
      }
      warnings {
        path
        expected
        received
      }
      request {
        method
        url
        headers {
          name
          value
        }
        body
      }
      response
    }
  `,
  [PanelTrialFragment],
);

const TestConnector = graphql(
  `
    mutation TestConnector($id: ID!, $email: String!, $locale: Locale!) {
      testConnector(id: $id, email: $email) {
        __typename
        ...Trial
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
  [TrialFragment],
);

export type TrialData = ResultOf<typeof TrialFragment>;
export type RequestData = NonNullable<TrialData['request']>;

/** How far the test of a connector has come. */
export type TrialState =
  | Readonly<{ state: 'idle' }>
  | Readonly<{ state: 'asking' }>
  | Readonly<{ state: 'brought'; trial: TrialData; at: Date }>
  | Readonly<{ state: 'refused'; problems: readonly Problem[] }>
  | Readonly<{ state: 'gone'; sentence: string }>
  | Readonly<{ state: 'failed'; error: CombinedError }>;

/** Whether the endpoint did its duty: it knows the address, or knows that it does not. */
export function isAnswered({ status }: Pick<TrialData, 'status'>): boolean {
  return status === 'FOUND' || status === 'NOT_FOUND';
}

/** Tests a connector; `ask` hands back how it ended. */
export function useTrial(id: string) {
  const locale = useLanguage();
  const [, send] = useMutation(TestConnector);
  const [trial, setTrial] = useState<TrialState>({ state: 'idle' });

  async function ask(email: string): Promise<TrialState> {
    setTrial({ state: 'asking' });
    const { data, error } = await send({ id, email, locale });
    const ended = data ? endOf(data.testConnector) : ({ state: 'failed', error: error as CombinedError } as const);
    setTrial(ended);
    return ended;
  }

  return { trial, ask, refuse: (problems: readonly Problem[]) => setTrial({ state: 'refused', problems }) };
}

function endOf(result: ResultOf<typeof TestConnector>['testConnector']): TrialState {
  switch (result.__typename) {
    case 'LookupTrial':
      return { state: 'brought', trial: result, at: new Date() };
    case 'InvalidInput':
      return { state: 'refused', problems: result.problems };
    case 'NotFound':
      return { state: 'gone', sentence: result.message };
    default:
      return result satisfies never;
  }
}
