// The screens that are loaded after the first one is to be seen.

import { defineAsyncComponent } from 'vue'

type Rest = typeof import('./rest')

let loading: Promise<Rest> | undefined

/** Loads them, once; a try that failed is made again. */
export function loadRest(): Promise<Rest> {
  loading ??= import('./rest').catch((error: unknown) => {
    loading = undefined
    throw error
  })
  return loading
}

export const Enrol = defineAsyncComponent(async () => (await loadRest()).Enrol)
export const Evidence = defineAsyncComponent(async () => (await loadRest()).Evidence)
export const ItemForm = defineAsyncComponent(async () => (await loadRest()).ItemForm)
export const School = defineAsyncComponent(async () => (await loadRest()).School)
export const Section = defineAsyncComponent(async () => (await loadRest()).Section)
export const Sync = defineAsyncComponent(async () => (await loadRest()).Sync)
