import { DisquaCrmPanel } from './element.tsx';

// A page may load the module twice, from two addresses.
if (!customElements.get('disqua-crm-panel')) {
  customElements.define('disqua-crm-panel', DisquaCrmPanel);
}

export { DisquaCrmPanel };
