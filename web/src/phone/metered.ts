// Photos wait on a network that is paid by volume, unless the user says
// otherwise. Measurements are small and go at once.

import { computed, ref, watch } from 'vue'

interface Connection extends EventTarget {
  type?: string
  saveData?: boolean
}

const KEY = 'duxue-photos-on-metered'
const connection = (navigator as Navigator & { connection?: Connection }).connection
const isMetered = (): boolean => connection?.type === 'cellular' || connection?.saveData === true

export const metered = ref(isMetered())
/** What the user chose; kept on this device. */
export const photosWait = ref(localStorage.getItem(KEY) !== 'send')
export const paused = computed(() => metered.value && photosWait.value)

connection?.addEventListener('change', () => {
  metered.value = isMetered()
})
watch(photosWait, (wait) => localStorage.setItem(KEY, wait ? 'wait' : 'send'))
