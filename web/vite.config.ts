import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

// The icons that the phone shows, of the three hundred that Vant has. Their
// drawings are `src/phone/icons.woff2`: a new one is added there by
//   pyftsubset vant-icon.woff2 --unicodes=U+E6D1,… --flavor=woff2 --no-hinting
// from the font in Vant's `es/icon/index.css`, which names the code of each.
const ICONS = new Set(
  'arrow arrow-left clear cross description-o exchange fail info-o plus scan search success todo-list-o warning-o'.split(' '),
)

/** Vant's sheet of icons without those that the phone does not show. */
function iconsOf(sheet: string): string {
  return sheet
    .replace(/@font-face\s*\{[^}]*\}/g, '')
    .replace(/\.van-icon-([\w-]+):before\s*\{[^}]*\}/g, (rule, name: string) => (ICONS.has(name) ? rule : ''))
}

/** A screen that shows an icon whose drawing is not there would show a box. */
function known(screen: string, id: string): void {
  for (const [, name] of screen.matchAll(/(?:[\s-]icon|<Icon name|\bicon)(?:="|: ')([\w-]+)/g)) {
    if (!ICONS.has(name!)) throw new Error(`${id}: the icon ${name} is not in icons.woff2`)
  }
}

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
      name: 'few-icons',
      enforce: 'pre',
      transform: (code, id) => {
        if (/src\/phone\/.*\.vue$/.test(id)) known(code, id)
        return id.endsWith('vant/es/icon/index.css') ? iconsOf(code) : undefined
      },
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
