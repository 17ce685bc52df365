import { defineConfig } from 'vite';

// The element for other front ends: one file without imports, with Preact in React's place because it is shipped to strangers' pages.
export default defineConfig({
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: {
    alias: { react: 'preact/compat', 'react-dom': 'preact/compat', 'react/jsx-runtime': 'preact/jsx-runtime' },
  },
  build: {
    outDir: '../server/web/embed',
    emptyOutDir: true,
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'], // from these on light-dark() is the browser's own
    lib: { entry: 'src/embed/crm-panel.ts', formats: ['es'], fileName: () => 'crm-panel.js' },
  },
});
