// Where the user is, in the address after `#`: links and the back button work.

import { computed, ref } from 'vue'
import type { ItemKind, Section, Subject } from '../core/types'

export type Route =
  | { at: 'today' }
  | { at: 'sync' }
  | { at: 'enrol'; code: string }
  | { at: 'school'; subject: Subject }
  | { at: 'section'; subject: Subject; section: Section }
  | { at: 'item'; subject: Subject; kind: ItemKind; item: string }

const SECTIONS: Section[] = ['classes', 'rooms', 'grounds', 'equipment', 'quantities', 'checklist']
const KINDS: ItemKind[] = ['classes', 'rooms', 'grounds', 'equipment']

export function parse(hash: string): Route {
  const [first, second, third, fourth, fifth] = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent)
  if (first === 'sync') return { at: 'sync' }
  if (first === 'enrol') return { at: 'enrol', code: second ?? '' }
  if (first === 'school' && second && third) {
    const subject = { round: second, school: third }
    const section = SECTIONS.find((known) => known === fourth)
    const kind = KINDS.find((known) => known === fourth)
    if (kind && fifth) return { at: 'item', subject, kind, item: fifth }
    return section ? { at: 'section', subject, section } : { at: 'school', subject }
  }
  return { at: 'today' }
}

export function link(route: Route): string {
  const parts = (...all: string[]): string => `#/${all.map(encodeURIComponent).join('/')}`
  switch (route.at) {
    case 'today':
      return '#/'
    case 'sync':
      return parts('sync')
    case 'enrol':
      return parts('enrol', route.code)
    case 'school':
      return parts('school', route.subject.round, route.subject.school)
    case 'section':
      return parts('school', route.subject.round, route.subject.school, route.section)
    case 'item':
      return parts('school', route.subject.round, route.subject.school, route.kind, route.item)
  }
}

const hash = ref(location.hash)
addEventListener('hashchange', () => {
  hash.value = location.hash
})

export const route = computed<Route>(() => parse(hash.value))

export function go(to: Route): void {
  location.hash = link(to)
}

/** Instead of the present place, so that going back does not return to it. */
export function replace(to: Route): void {
  location.replace(link(to))
}
