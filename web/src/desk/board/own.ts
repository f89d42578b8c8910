// The county's own figures and answers as a form: what the standard asks,
// grouped as the regulation does, with what is there already.

import type { Text } from '../../core/types'
import { countyQuantities, questions } from './names'
import type { CandidateView, CountyView, Scalar, Standard } from './types'

export interface OwnField {
  /** Its entry: `quantities/satisfaction:whole`, `answers/A2-1`. */
  path: string
  kind: 'number' | 'yes_no'
  name: Text
  unit: Text | null
  decimals: number
  /** What was written; null where nothing is, or where it does not agree. */
  written: Scalar | null
  imported: Scalar | null
  conflict: CandidateView[] | null
}

export interface OwnGroup {
  id: string
  /** The indicator's or the group's name; null for the groups with words of their own. */
  name: Text | null
  fields: OwnField[]
}

export function groupsOf(standard: Standard, view: CountyView): OwnGroup[] {
  const taken = new Set<string>()
  const quantity = (id: string): OwnField[] => {
    const known = standard.quantities[id]
    if (!known || taken.has(id)) return []
    taken.add(id)
    const path = `quantities/${id}:whole`
    const imported = view.consolidated.declared.figures[`${id}:whole`] ?? null
    return [{ path, kind: 'number', name: known.name, unit: known.unit, decimals: known.decimals, imported, ...found(view, path) }]
  }
  const own = questions(standard, 'county')
  const facts: OwnGroup = { id: 'facts', name: null, fields: standard.county_facts.flatMap(quantity) }
  const indicators = standard.indicators
    .filter(({ level }) => level === 'county')
    .map((indicator): OwnGroup => {
      const asked = own.filter((question) => question.indicator === indicator)
      const answers = asked.map((question): OwnField => {
        const path = `answers/${question.id}`
        const imported = view.consolidated.declared.answers?.[question.id] ?? null
        return { path, kind: 'yes_no', name: question.name, unit: null, decimals: 0, imported, ...found(view, path) }
      })
      return { id: indicator.id, name: indicator.name, fields: [...countyQuantities(standard, indicator).flatMap(quantity), ...answers] }
    })
  const rest = Object.values(standard.quantities).filter(({ county, id }) => county && !taken.has(id))
  const others: OwnGroup = { id: 'others', name: null, fields: rest.flatMap(({ id }) => quantity(id)) }
  return [...indicators, facts, others].filter(({ fields }) => fields.length > 0)
}

function found(view: CountyView, path: string): Pick<OwnField, 'written' | 'conflict'> {
  const state = view.consolidated.entries[path]?.value
  const conflict = view.conflicts.find((one) => one.path === path)?.candidates ?? null
  return { written: state && 'value' in state ? (state.value['value'] ?? null) : null, conflict }
}

export function isSet(field: OwnField): boolean {
  return field.written !== null || field.imported !== null
}
