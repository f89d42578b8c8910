import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

// One entry, one build: what another entry needs is never in these files, and
// the service worker's scope holds this entry's files only.
export default defineConfig({
  root: 'src/phone',
  base: '/phone/',
  build: {
    outDir: '../../dist/phone',
    emptyOutDir: true,
    target: 'es2022',
    // A data: address would need its own word in the content security policy.
    assetsInlineLimit: 0,
  },
  worker: { format: 'es' },
  define: { __VUE_OPTIONS_API__: false, __VUE_PROD_DEVTOOLS__: false, __INTLIFY_JIT_COMPILATION__: true },
  plugins: [
    {
      // Vant's icons come with the app; their second address is a server elsewhere.
      name: 'nothing-from-elsewhere',
      enforce: 'pre',
      transform: (code, id) =>
        id.includes('vant/') && id.includes('.css')
          ? code.replace(/,\s*url\(["']?(https?:)?\/\/[^)]*\)\s*format\(["']?\w+["']?\)/g, '')
          : undefined,
    },
    vue(),
    VitePWA({
      registerType: 'prompt',
      injectRegister: false,
      workbox: {
        globPatterns: ['**/*.{js,css,html,wasm,png,svg,woff2}'],
        maximumFileSizeToCacheInBytes: 4 * 1024 * 1024,
        navigateFallback: '/phone/index.html',
        cleanupOutdatedCaches: true,
      },
      manifest: {
        name: '督学 · 现场采集',
        short_name: '督学',
        description: 'Inspection field data, offline / 督导现场数据，离线可用',
        lang: 'zh-CN',
        start_url: '/phone/',
        scope: '/phone/',
        display: 'standalone',
        background_color: '#f5f6f8',
        theme_color: '#1d5fbf',
        icons: [
          { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png', purpose: 'any maskable' },
        ],
      },
    }),
  ],
})
