// Where the user is, in the address after `#`: links and the back button work.

import { computed, ref } from 'vue'
import type { ItemKind, Section, Subject } from '../core/types'

export type Route =
  | { at: 'today' }
  | { at: 'sync' }
  | { at: 'enrol'; code: string }
  | { at: 'school'; subject: Subject }
  /** `row`: the one to show first, by the last part of its path. */
  | { at: 'section'; subject: Subject; section: Section; row?: string }
  | { at: 'evidence'; subject: Subject }
  | { at: 'item'; subject: Subject; kind: ItemKind; item: string }

const SECTIONS: Section[] = ['classes', 'rooms', 'grounds', 'equipment', 'quantities', 'checklist']
const KINDS: ItemKind[] = ['classes', 'rooms', 'grounds', 'equipment']

const COPY = 'copy-'

/** The name of a form that begins as a copy of an item. */
export const copyName = (item: string): string => COPY + item

/** The item that a form copies, if it does. */
export const copyOf = (name: string): string | null => (name.startsWith(COPY) ? name.slice(COPY.length) : null)

export function parse(hash: string): Route {
  const [first, second, third, fourth, fifth] = hash.replace(/^#\/?/, '').split('/').map(decoded)
  if (first === 'sync') return { at: 'sync' }
  if (first === 'enrol') return { at: 'enrol', code: second ?? '' }
  if (first === 'school' && second && third) {
    const subject = { round: second, school: third }
    const section = SECTIONS.find((known) => known === fourth)
    const kind = KINDS.find((known) => known === fourth)
    if (kind && fifth) return { at: 'item', subject, kind, item: fifth }
    if (fourth === 'evidence') return { at: 'evidence', subject }
    if (!section) return { at: 'school', subject }
    return { at: 'section', subject, section, ...(fifth && { row: fifth }) }
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
      return parts('school', route.subject.round, route.subject.school, route.section, ...(route.row ? [route.row] : []))
    case 'evidence':
      return parts('school', route.subject.round, route.subject.school, 'evidence')
    case 'item':
      return parts('school', route.subject.round, route.subject.school, route.kind, route.item)
  }
}

/** A link that someone cut in two is shown as it is, not as an error. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const hash = ref(location.hash)
/** The places behind the present one, as the back button knows them. */
const trail = [link(parse(location.hash))]
let replacing = false

addEventListener('hashchange', () => {
  hash.value = location.hash
  const here = link(parse(location.hash))
  if (replacing) trail[trail.length - 1] = here
  else if (trail.at(-2) === here) trail.pop()
  else trail.push(here)
  replacing = false
})

export const route = computed<Route>(() => parse(hash.value))

export function go(to: Route): void {
  location.hash = link(to)
}

/** Instead of the present place, so that going back does not return to it. */
export function replace(to: Route): void {
  replacing = link(to) !== location.hash
  location.replace(link(to))
}

/** To the place above: back where that is the one before, so that no place comes twice. */
export function up(to: Route): void {
  if (trail.at(-2) === link(to)) history.back()
  else replace(to)
}
