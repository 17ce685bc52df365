import type { ConnectorData } from './connector.ts';
import { SecretRotation } from './secret-rotation.tsx';
import { Signing } from './signing.tsx';

/** What proves to the endpoint that it is us who ask. */
export function Credentials({ connector }: { connector: ConnectorData }) {
  return (
    <>
      {connector.hasSecret && <SecretRotation connector={connector} />}
      <Signing connector={connector} />
    </>
  );
}
