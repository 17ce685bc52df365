// Dialogs lock the page's scrolling by a style element; the content security policy lets it pass by the nonce it finds here.
const meta = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]');
Object.assign(globalThis, { __webpack_nonce__: meta?.nonce });
