import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The server puts a nonce of each request where this stands.
const NONCE = '__CSP_NONCE__';

export default defineConfig({
  base: './',
  html: { cspNonce: NONCE },
  plugins: [react()],
  worker: { format: 'es' },
  server: {
    proxy: { '/graphql': { target: 'http://127.0.0.1:8000', ws: true } },
  },
  build: {
    outDir: '../server/web',
    emptyOutDir: true,
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'], // from these on light-dark() is the browser's own
    assetsInlineLimit: 0, // the content security policy knows no data: addresses
    license: { fileName: 'THIRD_PARTY_LICENSES.md' },
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ['index.html', 'graphiql.html'] },
  },
});
