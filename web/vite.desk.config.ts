import vue from '@vitejs/plugin-vue'
import Components from 'unplugin-vue-components/vite'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import { defineConfig, loadEnv } from 'vite'

/** A running server for `npm run dev:desk`. */
const SERVER = loadEnv('', '.', 'DUXUE_').DUXUE_URL ?? 'http://127.0.0.1:7350'

// The desk is a build of its own: nothing of it is in the phone's files.
export default defineConfig({
  root: 'src/desk',
  base: '/desk/',
  build: {
    outDir: '../../dist/desk',
    emptyOutDir: true,
    target: 'es2022',
    // A data: address would need its own word in the content security policy.
    assetsInlineLimit: 0,
    // ECharts comes in a file of its own, when a chart is first shown.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api': SERVER, '/sync': { target: SERVER, ws: true } } },
  worker: { format: 'es' },
  define: { __VUE_OPTIONS_API__: false, __VUE_PROD_DEVTOOLS__: false, __INTLIFY_JIT_COMPILATION__: true },
  plugins: [
    {
      // Large workbooks would be zipped by workers made of blobs, which the policy forbids.
      name: 'zip-without-workers',
      enforce: 'pre',
      transform: (_code, id) =>
        id.endsWith('write-excel-file/modules/zip/zipToArrayBuffer.js')
          ? "import zip from './zipToArrayBufferSync.js'\nexport default (files) => Promise.resolve(files).then(zip)\n"
          : undefined,
    },
    vue(),
    Components({ dirs: [], dts: false, resolvers: [ElementPlusResolver({ importStyle: 'css' })] }),
  ],
})
