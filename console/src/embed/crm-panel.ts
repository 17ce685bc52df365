customElements.define('disqua-crm-panel', class extends HTMLElement {});
