import { headlineOf } from './customer.tsx';
import { failureSentence } from './failure.ts';
import type { CrmPanelData } from './fragment.ts';
import { outcomeOf } from './outcome.ts';
import type { PanelWords } from './words.ts';

/** A sentence for each panel that has a new outcome; one that was not there before tells nothing. */
export function changesToTell(
  before: readonly CrmPanelData[],
  after: readonly CrmPanelData[],
  words: PanelWords,
): string[] {
  return after.flatMap((panel) => {
    const earlier = before.find(({ id }) => id === panel.id);
    const sentence = earlier && hasNewOutcome(earlier, panel) ? sentenceOf(panel, words) : null;
    return sentence ? [sentence] : [];
  });
}

/** A lookup that ended brought an outcome, even one that says the same as the last. */
function hasNewOutcome(before: CrmPanelData, after: CrmPanelData): boolean {
  const ended = before.refreshing && !after.refreshing;
  return ended || before.status !== after.status || before.fetchedAt !== after.fetchedAt;
}

function sentenceOf(panel: CrmPanelData, words: PanelWords): string | null {
  const outcome = outcomeOf(panel);
  switch (outcome.kind) {
    case 'asking':
    case 'unasked':
      return null;
    case 'found':
      return words.told.found(panel.connectorName, headlineOf(outcome.customer, words));
    case 'notFound':
      return words.told.notFound(panel.connectorName);
    case 'failed':
      return words.told.failed(panel.connectorName, failureSentence(outcome.error, words.failure));
    default:
      return outcome satisfies never;
  }
}
