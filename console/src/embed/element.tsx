import { createRoot, type Root } from 'react-dom/client';
import type { CrmPanelData } from '../panel/fragment.ts';
import panelStyle from '../panel/panel.css?inline';
import elementStyle from './element.css?inline';
import { localeOf } from './locale.ts';
import { refresh } from './refresh.ts';
import { type Credentials, type Lease, leaseSocket } from './socket.ts';
import { type Trouble, troubleOf } from './trouble.ts';
import { View } from './view.tsx';
import { watchTicket } from './watch.ts';

const servedFrom = import.meta.url;
const PROPERTIES = ['token', 'getToken', 'ticketId', 'endpoint', 'locale'] as const;

// A sheet made by a script needs no permission of the page's content security policy.
const style = new CSSStyleSheet();
style.replaceSync(panelStyle + elementStyle);

/** A ticket's CRM panels for any front end: `<disqua-crm-panel ticket-id="…">`, described in docs/embed.md. */
export class DisquaCrmPanel extends HTMLElement {
  static readonly observedAttributes = ['endpoint', 'ticket-id', 'locale'];

  #token: string | null = null;
  #getToken: (() => string | Promise<string>) | null = null;
  #panels: readonly CrmPanelData[] | null = null;
  #trouble: Trouble | null = null;
  #root: Root | null = null;
  #watching: { abort: AbortController; lease: Lease } | null = null;
  #restarts = false;

  get token(): string | null {
    return this.#token;
  }

  set token(token: string | null) {
    if (token !== this.#token) {
      this.#token = token;
      this.#restart();
    }
  }

  get getToken(): (() => string | Promise<string>) | null {
    return this.#getToken;
  }

  set getToken(getToken: (() => string | Promise<string>) | null) {
    if (getToken !== this.#getToken) {
      this.#getToken = getToken;
      this.#restart();
    }
  }

  get ticketId(): string | null {
    return this.getAttribute('ticket-id');
  }

  set ticketId(ticketId: string | null) {
    this.#reflect('ticket-id', ticketId);
  }

  get endpoint(): string {
    return new URL(this.getAttribute('endpoint') ?? new URL('../graphql', servedFrom), document.baseURI).href;
  }

  set endpoint(endpoint: string | null) {
    this.#reflect('endpoint', endpoint);
  }

  get locale(): string {
    return localeOf(this.getAttribute('locale'));
  }

  set locale(locale: string | null) {
    this.#reflect('locale', locale);
  }

  connectedCallback(): void {
    this.#takeEarlyProperties();
    if (!this.#root) {
      const shadow = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
      shadow.adoptedStyleSheets = [style];
      this.#root = createRoot(shadow);
    }
    this.#restart();
  }

  disconnectedCallback(): void {
    this.#stop();
    queueMicrotask(() => {
      if (!this.isConnected) {
        // it was not only moved
        this.#root?.unmount();
        this.#root = null;
      }
    });
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) {
      return;
    }
    if (name === 'locale') {
      if (this.#watching) {
        this.#draw();
      }
      return;
    }
    this.#panels = null; // another ticket's panels must not stand beside this one
    this.#restart();
  }

  /** A framework may have set properties before the element was defined: they hide the setters until they are set anew. */
  #takeEarlyProperties(): void {
    for (const name of PROPERTIES) {
      if (Object.hasOwn(this, name)) {
        const value = Reflect.get(this, name);
        Reflect.deleteProperty(this, name);
        Reflect.set(this, name, value);
      }
    }
  }

  #reflect(attribute: string, value: string | null): void {
    if (value === null) {
      this.removeAttribute(attribute);
    } else {
      this.setAttribute(attribute, value);
    }
  }

  get #credentials(): Credentials | null {
    return this.#getToken ?? this.#token;
  }

  /** Changes that come together make one new start. */
  #restart(): void {
    if (this.#restarts || !this.isConnected) {
      return;
    }
    this.#restarts = true;
    queueMicrotask(() => {
      this.#restarts = false;
      this.#stop();
      this.#start();
    });
  }

  #start(): void {
    const { ticketId } = this;
    const credentials = this.#credentials;
    if (!this.isConnected) {
      return;
    }
    this.#trouble = null;
    if (!ticketId || !credentials) {
      this.#panels = null; // who signed out leaves nothing to be read
      this.#root?.render(null);
      return;
    }
    this.#draw();
    const watching = { abort: new AbortController(), lease: leaseSocket(this.endpoint, credentials) };
    this.#watching = watching;
    void watchTicket(
      watching.lease.client,
      ticketId,
      {
        all: (panels) => this.#show(panels),
        one: (panel) => this.#show(withPanel(this.#panels ?? [], panel)),
        lost: (trouble) => this.#lost(trouble),
      },
      watching.abort.signal,
    );
  }

  #stop(): void {
    this.#watching?.abort.abort();
    this.#watching?.lease.release();
    this.#watching = null;
  }

  #show(panels: readonly CrmPanelData[]): void {
    const changed = changedPanels(this.#panels ?? [], panels);
    this.#panels = panels;
    this.#trouble = null;
    this.#draw();
    for (const panel of changed) {
      this.#tell('disqua-panel-change', panel);
    }
  }

  /** Whether it may pass by itself: a token that was refused stays refused, a callback may find a better one. */
  #lost(trouble: Trouble): boolean {
    this.#trouble = trouble;
    if (trouble.code === 'UNKNOWN_TICKET') {
      this.#panels = null;
    }
    this.#draw();
    this.#tell('disqua-error', trouble);
    switch (trouble.code) {
      case 'DISCONNECTED':
      case 'NO_TOKEN':
        return true;
      case 'UNAUTHENTICATED':
        return this.#getToken !== null;
      case 'REFUSED':
      case 'UNKNOWN_TICKET':
        return false;
      default:
        return trouble.code satisfies never;
    }
  }

  readonly #refresh = async (connectorId: string): Promise<void> => {
    const { ticketId } = this;
    if (!ticketId || !this.#watching) {
      return;
    }
    const { abort, lease } = this.#watching;
    try {
      if (!(await refresh(lease.client, { ticketId, connectorId }, abort.signal))) {
        this.#restart(); // the connector is gone, and so is its panel
      }
    } catch (reason) {
      this.#tell('disqua-error', troubleOf(reason));
    }
  };

  #draw(): void {
    this.#root?.render(
      <View
        panels={this.#panels}
        trouble={this.#trouble}
        locale={localeOf(this.getAttribute('locale'))}
        onRefresh={this.#refresh}
      />,
    );
  }

  #tell(type: 'disqua-panel-change' | 'disqua-error', detail: CrmPanelData | Trouble): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

function withPanel(panels: readonly CrmPanelData[], panel: CrmPanelData): readonly CrmPanelData[] {
  const known = panels.some(({ id }) => id === panel.id);
  return known ? panels.map((one) => (one.id === panel.id ? panel : one)) : [...panels, panel];
}

function changedPanels(before: readonly CrmPanelData[], after: readonly CrmPanelData[]): readonly CrmPanelData[] {
  const earlier = new Set(before.map((panel) => JSON.stringify(panel)));
  return after.filter((panel) => !earlier.has(JSON.stringify(panel)));
}
