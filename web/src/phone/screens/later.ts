// The screens that are loaded after the first one is to be seen.

import { defineAsyncComponent, type Component } from 'vue'
import NotLoaded from '../parts/NotLoaded.vue'

type Rest = typeof import('./rest')

let loading: Promise<Rest> | undefined

/** Loads them, once: a browser does not ask again for a file that failed, the page has to be loaded anew. */
export const loadRest = (): Promise<Rest> => (loading ??= import('./rest'))

// A file that does not come is no mistake of the app's, and is said in its place only.
const later = <C extends Component>(screen: (rest: Rest) => C) =>
  defineAsyncComponent(() => loadRest().then(screen, () => NotLoaded as unknown as C))

export const Enrol = later((rest) => rest.Enrol)
export const Evidence = later((rest) => rest.Evidence)
export const ItemForm = later((rest) => rest.ItemForm)
export const School = later((rest) => rest.School)
export const Section = later((rest) => rest.Section)
export const Sync = later((rest) => rest.Sync)
