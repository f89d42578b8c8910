import type { RouteRecordRaw } from 'vue-router'
import type { Role } from '../types'

const MANAGERS: Role[] = ['bureau', 'administrator']

export const adminRoutes: RouteRecordRaw[] = [
  {
    path: '/admin/rounds',
    name: 'admin-rounds',
    component: () => import('./Rounds.vue'),
    meta: { title: 'admin.rounds.title', nav: 'admin', roles: ['administrator'] },
  },
  {
    path: '/rounds/:round/import',
    name: 'admin-import',
    component: () => import('./Import.vue'),
    props: true,
    meta: { title: 'admin.import.title', nav: 'admin', roles: MANAGERS },
  },
  {
    path: '/rounds/:round/assignments',
    name: 'admin-assignments',
    component: () => import('./Assignments.vue'),
    props: true,
    meta: { title: 'admin.assignments.title', nav: 'admin', roles: MANAGERS },
  },
  {
    path: '/rounds/:round/people',
    name: 'admin-people',
    component: () => import('./People.vue'),
    props: true,
    meta: { title: 'admin.people.title', nav: 'admin', roles: MANAGERS },
  },
  {
    path: '/admin/audit',
    name: 'admin-audit',
    component: () => import('./Audit.vue'),
    meta: { title: 'admin.audit.title', nav: 'admin', roles: ['administrator'] },
  },
]
