import { useMutation } from 'urql';
import { useLocation } from 'wouter';
import { graphql } from '../api/graphql.ts';
import { useWords } from '../preferences/preferences.ts';
import type { ConnectorData } from './connector.ts';
import { credentialsWords } from './credentials-words.ts';
import { useChanges } from './drafts.ts';
import { type Objection, Question } from './question.tsx';
import { Buttons, Section } from './section.tsx';

const DeleteConnector = graphql(`
  mutation DeleteConnector($id: ID!) {
    deleteConnector(id: $id) {
      __typename
    }
  }
`);

// What is gone is not among what the answer names, and yet the lists change.
const CONTEXT = { additionalTypenames: ['Connector'] };

/** The end of a connector, after a question that says what goes with it. */
export function Deletion({ connector: { id, name } }: { connector: ConnectorData }) {
  const words = useWords(credentialsWords);
  const [, remove] = useMutation(DeleteConnector);
  const [, keep] = useChanges(id);
  const [, go] = useLocation();

  /** One that is gone already is what was wanted. */
  async function act(): Promise<Objection> {
    const { error } = await remove({ id }, CONTEXT);
    if (error) {
      return error;
    }
    keep({});
    go('/settings', { replace: true });
    return null;
  }

  return (
    <Section title={words.deletion} lead={words.deletionLead}>
      <Buttons>
        <Question
          danger
          label={words.remove}
          title={words.removeTitle(name)}
          lead={words.removeLead}
          confirm={words.removeDo}
          act={act}
        />
      </Buttons>
    </Section>
  );
}
