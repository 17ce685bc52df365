import { createContext, useContext } from 'react';
import { graphql, type ResultOf } from '../api/graphql.ts';

export const ViewerQuery = graphql(`
  query Viewer {
    viewer {
      name
      role
      guideUrl
      workspace {
        id
        name
        supportAddresses
      }
    }
  }
`);

export type Viewer = ResultOf<typeof ViewerQuery>['viewer'];

const ViewerContext = createContext<Viewer | null>(null);

export const ViewerProvider = ViewerContext.Provider;

/** Whoever is signed in. */
export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (!viewer) {
    throw new Error('nobody is signed in here');
  }
  return viewer;
}
