// Pages and their addresses. What a page needs is in its address, so that
// links and the back button work; each page is loaded when it is first seen.

import { shallowRef } from 'vue'
import { createRouter, createWebHashHistory, type RouteRecordRaw } from 'vue-router'
import { adminRoutes } from './admin/routes'
import { api, problemOf, send } from './api'
import { boardRoutes } from './board/routes'
import { formRoutes } from './forms/routes'
import { may, me, isAdministrator, rounds, session } from './session'
import type { Role } from './types'

export type Area = 'review' | 'bureau' | 'board' | 'admin'

declare module 'vue-router' {
  interface RouteMeta {
    /** The page's title, a key of the words. */
    title: string
    /** The group that lists it in the menu; absent for pages below others. */
    nav?: Area
    /** Who may see it in the round of the address; `administrator` also without a round. */
    roles?: Role[]
    /** Needs nobody to be logged in. */
    open?: boolean
  }
}

const DESK: Role[] = ['supervisor', 'bureau']

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'home', component: () => import('./screens/Home.vue'), meta: { title: 'shell.product' } },
  { path: '/login', name: 'login', component: () => import('./screens/Login.vue'), meta: { title: 'shell.login.title', open: true } },
  {
    path: '/rounds/:round/review',
    name: 'review',
    component: () => import('./review/Schools.vue'),
    props: true,
    meta: { title: 'review.title', nav: 'review', roles: DESK },
  },
  {
    path: '/rounds/:round/review/:school',
    name: 'review-school',
    component: () => import('./review/School.vue'),
    props: true,
    meta: { title: 'review.title', roles: DESK },
  },
  {
    path: '/rounds/:round/held',
    name: 'held',
    component: () => import('./review/Held.vue'),
    props: true,
    meta: { title: 'review.held.title', nav: 'review', roles: ['supervisor'] },
  },
  {
    path: '/rounds/:round/conflicts',
    name: 'conflicts',
    component: () => import('./bureau/Inbox.vue'),
    props: true,
    meta: { title: 'bureau.title', nav: 'bureau', roles: DESK },
  },
  {
    path: '/rounds/:round/conflicts/:school/:id',
    name: 'conflict',
    component: () => import('./bureau/Conflict.vue'),
    props: true,
    meta: { title: 'bureau.title', roles: DESK },
  },
  {
    path: '/rounds/:round/rulings',
    name: 'rulings',
    component: () => import('./bureau/Rulings.vue'),
    props: true,
    meta: { title: 'bureau.rulings.title', nav: 'bureau', roles: DESK },
  },
  ...boardRoutes,
  ...formRoutes,
  ...adminRoutes,
  { path: '/:rest(.*)*', component: () => import('./screens/Missing.vue'), meta: { title: 'shell.no_page' } },
]

/** How long a page that is come back to may take to be there. */
const READ_MS = 5_000

/** Ends when the page is long enough to be as it was left. */
function tall(top: number): Promise<void> {
  const is = (): boolean => document.documentElement.scrollHeight >= top + innerHeight
  if (is()) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      watching.disconnect()
      clearTimeout(timer)
      resolve()
    }
    const watching = new ResizeObserver(() => is() && end())
    const timer = setTimeout(end, READ_MS)
    watching.observe(document.body)
  })
}

export const router = createRouter({
  history: createWebHashHistory(),
  routes,
  scrollBehavior: async (to, from, saved) => {
    if (!saved) return to.path === from.path ? false : { top: 0 }
    await tall(saved.top)
    return saved
  },
})

/** A page that did not open: its address, and what was thrown on the way. */
export const notOpened = shallowRef<{ path: string; error: unknown } | null>(null)
router.onError((error: unknown, to) => {
  console.error(error)
  notOpened.value = { path: to.fullPath, error }
})
router.afterEach(() => {
  notOpened.value = null
})

/** What browsers say of a file that did not come, and the loader of a style that did not: they have no code for it. */
const NOT_LOADED = /dynamically imported module|importing a module script failed|unable to preload css/i

/** Whether the page's files did not come: the server is away, or it has a newer
 * version, whose files have other names. */
export const isNotLoaded = (error: unknown): boolean => error instanceof Error && NOT_LOADED.test(error.message)

/** Loads the app anew at that page, once the server answers: without it the
 * browser would show a page of its own.
 * @throws Refused */
export async function loadAnew(path: string): Promise<void> {
  await send(import.meta.env.BASE_URL)
  location.hash = path
  location.reload()
}

/** Who is logged in, and the rounds to see: read once after a log-in or start. */
export async function boot(): Promise<void> {
  if (!session.value || me.value) return
  const [who, all] = await Promise.all([api.me(), api.rounds()])
  rounds.value = all
  me.value = who
}

router.beforeEach(async (to) => {
  if (to.meta.open) return true
  if (!session.value) return { name: 'login', query: to.path === '/' ? {} : { to: to.fullPath } }
  try {
    await boot()
  } catch (error) {
    problemOf(error)
    // The page around says why, with a way to try again.
    return true
  }
  const round = to.params.round
  const allowed = typeof round === 'string' ? may(round, to.meta.roles) : !to.meta.roles || isAdministrator.value
  return allowed || { name: 'home' }
})
