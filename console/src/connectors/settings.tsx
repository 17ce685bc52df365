import { useState } from 'react';
import { Route, Switch } from 'wouter';
import { ConnectorList } from './connector-list.tsx';
import { ConnectorPage } from './connector-page.tsx';
import type { Errand } from './errand.ts';
import { NewConnector } from './new-connector.tsx';

/** Settings → YourCRM: loaded when an admin opens it. */
export default function Settings() {
  const [errand, setErrand] = useState<Errand | null>(null);
  return (
    <Switch>
      <Route path="/settings" component={ConnectorList} />
      <Route path="/settings/new">
        <NewConnector onErrand={setErrand} />
      </Route>
      <Route path="/settings/:id/:part?">
        {({ id, part }) => <ConnectorPage key={id} id={id} part={part} errand={errand} onErrand={setErrand} />}
      </Route>
    </Switch>
  );
}
