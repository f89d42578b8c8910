import type { RouteRecordRaw } from 'vue-router'
import type { Role } from '../types'

const DESK: Role[] = ['supervisor', 'bureau']

export const boardRoutes: RouteRecordRaw[] = [
  {
    path: '/rounds/:round/board',
    name: 'board',
    component: () => import('./Board.vue'),
    props: true,
    meta: { title: 'board.title', nav: 'board', roles: DESK },
  },
  {
    path: '/rounds/:round/board/:school',
    name: 'board-school',
    component: () => import('./School.vue'),
    props: true,
    meta: { title: 'board.school.title', roles: DESK },
  },
  {
    path: '/rounds/:round/what-if',
    name: 'what-if',
    component: () => import('./WhatIf.vue'),
    props: true,
    meta: { title: 'board.what_if.title', nav: 'board', roles: DESK },
  },
  {
    path: '/rounds/:round/county',
    name: 'county',
    component: () => import('./County.vue'),
    props: true,
    meta: { title: 'board.own.title', nav: 'board', roles: DESK },
  },
]
