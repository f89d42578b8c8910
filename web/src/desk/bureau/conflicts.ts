// Conflicts in words, with the schools that they are about.

import { useI18n } from 'vue-i18n'
import { api } from '../api'
import type { EntryWords } from '../parts/entries'
import type { ConflictView, SchoolView, Value } from '../types'

/** So many schools are read for the names of their rooms; beyond it ids are shown. */
const MOST = 60

/** The schools of these conflicts, by id. */
export async function schoolsOf(round: string, conflicts: ConflictView[], signal: AbortSignal): Promise<Map<string, SchoolView>> {
  const ids = [...new Set(conflicts.map(({ school }) => school))].slice(0, MOST)
  const views = await Promise.all(ids.map((id) => api.school(round, id, signal)))
  return new Map(ids.flatMap((id, index) => (views[index] ? [[id, views[index]] as const] : [])))
}

/** Section, item and field of an entry's path. */
export function partsOf(path: string): { section: string; item: string | null; field: string } {
  const [section = '', second = '', third] = path.split('/')
  return third === undefined ? { section, item: null, field: second } : { section, item: `${section}/${second}`, field: third }
}

/** What is typed, with the fields and types of what others stated; null while one is empty. */
export function statedLike(example: Value, stated: Record<string, string>): Value | null {
  const fields = Object.entries(example)
  const filled = fields.filter(([name]) => stated[name]?.trim())
  if (filled.length !== fields.length || fields.length === 0) return null
  return Object.fromEntries(filled.map(([name, like]) => [name, typeof like === 'boolean' ? stated[name] === 'true' : (stated[name] ?? '').trim()]))
}

export function useConflictWords(words: EntryWords): { subject: (conflict: ConflictView, school: SchoolView | undefined) => string } {
  const { t } = useI18n()
  const section = (name: string): string => t(`review.sections.${name}`)
  return {
    subject({ subject }, school) {
      const items = school?.consolidated.items ?? {}
      if (subject.kind === 'entry') {
        const parts = partsOf(subject.path)
        return `${section(parts.section)} · ${words.label(parts, items)}`
      }
      if (subject.kind === 'removal') return `${section(subject.item.split('/')[0] ?? '')} · ${words.item(items[subject.item], subject.item)}`
      const { kind, items: same, key } = subject.duplicate
      const named = same.map((id) => words.item(items[`${kind}/${id}`], `${kind}/${id}`))
      // The key is in the codes of the forms: for items that are not read.
      return `${section(kind)} · ${school ? [...new Set(named)].join(' | ') : key}`
    },
  }
}

/** The indicators that a conflict bears on, without stages. */
export function indicatorsOf(conflict: ConflictView): string[] {
  const names = conflict.candidates.flatMap(({ effects }) => Object.keys(effects))
  return [...new Set(names)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

/** What a conflict bears on in short words, each once: `L7`, `L7 差异系数`. */
export function useShortNames(): (conflict: ConflictView) => string[] {
  const { t } = useI18n()
  const short = (name: string): string => {
    const [first = '', second = ''] = name.split('/')
    if (first === 'CV') return `${second === 'mean' ? '' : `${second} `}${t('board.coefficient')}`
    return first === 'rule' ? t('board.rule') : first === 'county' ? t('board.verdict') : first
  }
  return (conflict) => [...new Set(indicatorsOf(conflict).map(short))]
}

export function impactOf(conflict: ConflictView): 'flips' | 'changes' | 'none' {
  if (conflict.flips) return 'flips'
  return conflict.folded || indicatorsOf(conflict).length === 0 ? 'none' : 'changes'
}
