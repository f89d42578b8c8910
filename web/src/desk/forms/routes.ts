import type { RouteRecordRaw } from 'vue-router'
import type { Role } from '../types'

const DESK: Role[] = ['supervisor', 'bureau']

export const formRoutes: RouteRecordRaw[] = [
  {
    path: '/rounds/:round/forms',
    name: 'forms',
    component: () => import('./Forms.vue'),
    props: true,
    meta: { title: 'board.forms.title', nav: 'board', roles: DESK },
    // Which form is in the address, below the page: its own address is that of the first.
    children: [{ path: ':form', name: 'form', component: () => import('./Forms.vue'), meta: { title: 'board.forms.title', roles: DESK } }],
  },
]
