import { type ConnectorData, sameOrigin } from './connector.ts';

const USUAL_HEADER = 'X-Api-Key';
const USUAL_HOURS = 24;

/** The secret goes in and never comes out: the form knows only whether there is one. */
export type SecretDraft =
  | Readonly<{ kind: 'kept' }>
  | Readonly<{ kind: 'entered'; value: string }>
  | Readonly<{ kind: 'removed' }>;

/** A connector as it stands in the form. */
export type Draft = Readonly<{
  name: string;
  lookupUrl: string;
  secretHeaderName: string;
  secret: SecretDraft;
  linkTemplate: string;
  cacheTtlHours: string;
  logResults: boolean;
  enabled: boolean;
}>;

/** What somebody changed and has not saved yet. */
export type Changes = Partial<Draft>;

/** The form of a connector before anybody touches it; null is one that is to be made. */
export function draftOf(connector: ConnectorData | null): Draft {
  return {
    name: connector?.name ?? '',
    lookupUrl: connector?.lookupUrl ?? '',
    secretHeaderName: connector?.secretHeaderName ?? USUAL_HEADER,
    secret: connector?.hasSecret ? { kind: 'kept' } : { kind: 'entered', value: '' },
    linkTemplate: connector?.linkTemplate ?? '',
    cacheTtlHours: String(connector?.cacheTtlHours ?? USUAL_HOURS),
    logResults: connector?.logResults ?? true,
    enabled: connector?.enabled ?? false,
  };
}

/** What is left of the changes when those that change nothing are left out. */
export function realChanges(saved: Draft, changes: Changes): Changes {
  const names = Object.keys(changes) as (keyof Draft)[];
  return Object.fromEntries(
    names.filter((name) => !same(saved[name], changes[name])).map((name) => [name, changes[name]]),
  );
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** A secret is never sent to another site than the one it was entered for: the server drops it with the old origin. */
export function dropsSecret(connector: ConnectorData | null, draft: Draft): boolean {
  return connector?.hasSecret === true && !sameOrigin(connector.lookupUrl, draft.lookupUrl.trim());
}

/** The secret as the server will see it: one that stays behind with its origin is gone. */
export function effectiveSecret(connector: ConnectorData | null, draft: Draft): SecretDraft {
  return draft.secret.kind === 'kept' && dropsSecret(connector, draft) ? { kind: 'entered', value: '' } : draft.secret;
}

/** Whether the number of hours can be sent at all; the server judges it. */
export function hoursAreANumber(draft: Draft): boolean {
  return /^\d{1,6}$/.test(draft.cacheTtlHours.trim());
}

/** A new connector stays off until a trial has shown that it works. */
export function creation(draft: Draft) {
  return {
    name: draft.name.trim(),
    lookupUrl: draft.lookupUrl.trim(),
    ...credentials(draft, draft.secret),
    linkTemplate: draft.linkTemplate.trim() || null,
    cacheTtlHours: Number(draft.cacheTtlHours),
    logResults: draft.logResults,
    enabled: false,
  };
}

/** Only what was changed: what somebody else changed meanwhile stays. */
export function update(connector: ConnectorData, changes: Changes) {
  const draft = { ...draftOf(connector), ...changes };
  const secret = effectiveSecret(connector, draft);
  const headerAlone = secret.kind === 'kept' && changes.secretHeaderName !== undefined;
  return {
    ...(changes.name !== undefined && { name: draft.name.trim() }),
    ...(changes.lookupUrl !== undefined && { lookupUrl: draft.lookupUrl.trim() }),
    ...(headerAlone && { secretHeaderName: draft.secretHeaderName.trim() || null }),
    ...(changes.secret !== undefined && credentials(draft, secret)),
    ...(changes.linkTemplate !== undefined && { linkTemplate: draft.linkTemplate.trim() || null }),
    ...(changes.cacheTtlHours !== undefined && { cacheTtlHours: Number(draft.cacheTtlHours) }),
    ...(changes.logResults !== undefined && { logResults: draft.logResults }),
    ...(changes.enabled !== undefined && { enabled: draft.enabled }),
  };
}

/** Header and secret go together; without a secret there is no header. */
function credentials(draft: Draft, secret: SecretDraft) {
  switch (secret.kind) {
    case 'kept':
      return {};
    case 'removed':
      return { secretHeaderName: null, secretHeaderValue: null };
    case 'entered':
      return secret.value === ''
        ? { secretHeaderName: null, secretHeaderValue: null }
        : { secretHeaderName: draft.secretHeaderName.trim(), secretHeaderValue: secret.value };
    default:
      return secret satisfies never;
  }
}
