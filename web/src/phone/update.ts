// A new version waits until the user takes it: nothing reloads a form by itself.

import { registerSW } from 'virtual:pwa-register'
import { ref } from 'vue'

export const updateReady = ref(false)
/** Every file is on this device: it opens without network. */
export const offlineReady = ref(false)

const update = registerSW({
  immediate: true,
  onNeedRefresh: () => {
    updateReady.value = true
  },
  onOfflineReady: () => {
    offlineReady.value = true
  },
})

if ('serviceWorker' in navigator) {
  void navigator.serviceWorker.ready.then(() => {
    offlineReady.value = true
  })
}

export function applyUpdate(): void {
  void update(true)
}
