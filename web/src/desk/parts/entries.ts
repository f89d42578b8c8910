// Entries of a survey in words: what an item is called, what a value says.

import { useI18n } from 'vue-i18n'
import type { Seen } from '../../core/types'
import { useWords } from '../board/words'
import type { Standard } from '../board/types'
import type { Captured, Entry, Item, SchoolView, Value } from '../types'

/** One entry of a school with what it is called. */
export interface EntryRow {
  /** `rooms/01J/size`, `quantities/pupils:primary`. */
  path: string
  /** `rooms`, `quantities`. */
  section: string
  /** The item's key, `rooms/01J`, if it is a field of one. */
  item: string | null
  field: string
  entry: Entry
}

/** Every entry of a school that someone may judge, in the order of the sections. */
export function entriesOf(view: SchoolView): EntryRow[] {
  const { items, entries } = view.consolidated
  const rows: EntryRow[] = []
  for (const [key, item] of Object.entries(items)) {
    for (const [field, entry] of Object.entries(item.fields)) {
      // Of a thing that is gone only its removal is there to judge.
      if ((item.removal.state === 'removed') !== (field === 'removed') && item.removal.state !== 'edited_after_removal') continue
      if (entry.candidates.length > 0) rows.push({ path: `${key}/${field}`, section: item.kind, item: key, field, entry })
    }
  }
  for (const [path, entry] of Object.entries(entries)) {
    const [section = '', field = ''] = path.split('/')
    if (section !== 'evidence' && entry.candidates.length > 0) rows.push({ path, section, item: null, field, entry })
  }
  return rows
}

const SECTIONS = ['classes', 'rooms', 'grounds', 'equipment', 'quantities', 'answers', 'sections']
const FIELDS = ['identity', 'size', 'pupils', 'count', 'unit_value', 'multimedia', 'removed']

/** In the order of the sections, and there as people count rooms; an item's fields stay together. */
export function inOrder(rows: EntryRow[], items: Record<string, Item>, words: EntryWords, locale: string): EntryRow[] {
  const collator = new Intl.Collator(locale, { numeric: true })
  const keyed = rows.map((row) => ({ row, item: row.item ? words.item(items[row.item], row.item) : words.field(row) }))
  keyed.sort(
    (a, b) =>
      SECTIONS.indexOf(a.row.section) - SECTIONS.indexOf(b.row.section) ||
      collator.compare(a.item, b.item) ||
      collator.compare(a.row.item ?? '', b.row.item ?? '') ||
      FIELDS.indexOf(a.row.field) - FIELDS.indexOf(b.row.field),
  )
  return keyed.map(({ row }) => row)
}

/** The values that stand: one where it is agreed or ruled, else all candidates. */
export function standing(entry: Entry): Value[] {
  if (entry.value.state === 'missing') return []
  if (entry.value.state === 'conflicting') return entry.candidates.map(({ value }) => value)
  return [entry.value.value]
}

/** How an entry is to be judged: the state that a colour and a word are for. */
export function reviewState(entry: Entry): 'conflicting' | 'unreviewed' | 'awaiting' | 'accepted' | 'returned' | 'overruled' | 'disputed' {
  const { review, value } = entry
  if (review.state === 'returned') return review.overruled ? 'overruled' : 'returned'
  if (review.state === 'unreviewed' && value.state === 'conflicting') return 'conflicting'
  return review.state
}

/** What a verdict on the entry as it is shown refers to. */
export function seen(entry: Entry): Seen {
  const verdicts = 'verdicts' in entry.review ? entry.review.verdicts : []
  return { ops: entry.candidates.map(({ op }) => op), verdicts }
}

/** Whether two sets of ids are the same. */
export const sameIds = (a: string[], b: string[]): boolean => a.length === b.length && a.every((id) => b.includes(id))

/** Whether two looks at an entry saw the same. */
export const isSame = (a: Seen, b: Seen): boolean => sameIds(a.ops, b.ops) && sameIds(a.verdicts, b.verdicts)

/** The actor of an op id, `12@ab34`. */
export const actorOf = (op: string): string => op.slice(op.indexOf('@') + 1)

const PARTS = ['stage', 'grade', 'building', 'room', 'code', 'number', 'name', 'purpose', 'kind']

export interface EntryWords {
  /** What an item is: `教学楼 101 音乐`. */
  item: (item: Item | undefined, key: string) => string
  /** What an identity says. */
  identity: (value: Value) => string
  /** What an entry is called, without its item. */
  field: (row: Pick<EntryRow, 'section' | 'field'>) => string
  /** What an entry is called. */
  label: (row: Pick<EntryRow, 'section' | 'field' | 'item'>, items: Record<string, Item>) => string
  /** A value in a few words: `9.2 × 8 m`. */
  value: (value: Value, row?: Pick<EntryRow, 'section' | 'field'>) => string
  entry: (entry: Entry, row?: Pick<EntryRow, 'section' | 'field'>) => string
}

export function useEntryWords(standard: () => Standard | null): EntryWords {
  const { t, te } = useI18n()
  const words = useWords(() => standard() as Standard)
  const known = (area: string, code: string): string => (te(`review.${area}.${code}`) ? t(`review.${area}.${code}`) : code)
  const scalar = (found: boolean | string | undefined): string => (typeof found === 'boolean' ? t(found ? 'review.yes' : 'review.no') : (found ?? ''))

  const identity = (value: Value): string => {
    const isClass = 'grade' in value
    const part = (name: string): string => {
      const text = scalar(value[name])
      if (!text) return ''
      if (name === 'grade') return t('review.grade', { n: text })
      if (name === 'number' && isClass) return t('review.class', { n: text })
      return ['stage', 'purpose', 'kind'].includes(name) ? known('code', text) : text
    }
    return PARTS.map(part).filter(Boolean).join(' ')
  }
  const item = (found: Item | undefined, key: string): string => {
    const said = found?.fields.identity ? standing(found.fields.identity).map(identity).filter(Boolean) : []
    return said.length > 0 ? said.join(' | ') : (key.split('/')[1] ?? key)
  }
  const field = (row: Pick<EntryRow, 'section' | 'field'>): string => {
    if (row.section === 'sections') return known('sections', row.field === 'checklist' ? 'answers' : row.field)
    if (row.section === 'quantities' || row.section === 'answers') return standard() ? words.figure(row.field) : row.field
    return known('field', row.field)
  }
  const value = (found: Value, row?: Pick<EntryRow, 'section' | 'field'>): string => {
    if ('length_m' in found && 'width_m' in found) return `${scalar(found.length_m)} × ${scalar(found.width_m)} m`
    if ('area_m2' in found) return `${scalar(found.area_m2)} m²`
    if ('removed' in found) return [scalar(found.removed), scalar(found.reason)].filter(Boolean).join(' · ')
    if ('building' in found || 'grade' in found || 'purpose' in found || 'kind' in found || 'code' in found) return identity(found)
    const all = Object.entries(found)
    const unit = row?.section === 'quantities' && standard() ? words.unit(row.field) : ''
    if (all.length === 1) return [scalar(all[0]?.[1]), unit].filter(Boolean).join(' ')
    return all.map(([name, each]) => `${known('field', name)} ${scalar(each)}`).join(' · ')
  }
  return {
    item,
    identity,
    field,
    label: (row, items) => (row.item ? `${item(items[row.item], row.item)} · ${field(row)}` : field(row)),
    value,
    entry: (entry, row) => standing(entry).map((one) => value(one, row)).join(' | '),
  }
}

/** When a claim was made by the server's clock, as far as that is known. */
export function serverTime({ device_time_ms, clock_offset_ms }: Captured): number | null {
  return clock_offset_ms === null ? null : device_time_ms + clock_offset_ms
}

/** Metres along the ground between two places in degrees; for showing only. */
export function distance(a: { latitude: string; longitude: string }, b: { latitude: string; longitude: string }): number {
  const rad = (degrees: string): number => (Number(degrees) * Math.PI) / 180
  const [lat1, lat2] = [rad(a.latitude), rad(b.latitude)]
  const h = Math.sin((lat2 - lat1) / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin((rad(b.longitude) - rad(a.longitude)) / 2) ** 2
  return 2 * 6_371_000 * Math.asin(Math.min(1, Math.sqrt(h)))
}
