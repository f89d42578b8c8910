// The forms of the four kinds of items, as data: which entry each field
// belongs to, and how it is typed. Values are exact decimals as text.

import type { Entry, Item, ItemKind, SurveyView, Value, ValueState } from '../core/types'

export interface FieldSpec {
  /** The entry. */
  entry: string
  /** The field of its value. */
  name: string
  /** The field's word, where it differs from its name. */
  label?: string
  type: 'text' | 'choice' | 'decimal' | 'whole' | 'bool'
  options?: string[]
  /** Needed before the item can be saved. */
  needed?: boolean
}

const SIZE: FieldSpec[] = [
  { entry: 'size', name: 'length_m', type: 'decimal' },
  { entry: 'size', name: 'width_m', type: 'decimal' },
  { entry: 'size', name: 'area_m2', type: 'decimal' },
]

export const FORMS: Record<ItemKind, FieldSpec[]> = {
  rooms: [
    {
      entry: 'identity',
      name: 'purpose',
      type: 'choice',
      options: ['classroom', 'music', 'art', 'laboratory', 'computer', 'library', 'indoor_sports', 'counselling', 'other'],
      needed: true,
    },
    { entry: 'identity', name: 'building', type: 'text' },
    { entry: 'identity', name: 'number', type: 'text', needed: true },
    ...SIZE,
    { entry: 'multimedia', name: 'value', label: 'multimedia', type: 'bool' },
  ],
  classes: [
    { entry: 'identity', name: 'stage', type: 'choice', options: ['primary', 'junior'], needed: true },
    { entry: 'identity', name: 'grade', type: 'text', needed: true },
    { entry: 'identity', name: 'number', label: 'class_number', type: 'text', needed: true },
    { entry: 'pupils', name: 'value', label: 'pupils', type: 'whole' },
  ],
  grounds: [
    { entry: 'identity', name: 'kind', type: 'choice', options: ['outdoor', 'rooftop', 'basement', 'leased'], needed: true },
    { entry: 'identity', name: 'name', type: 'text', needed: true },
    ...SIZE,
  ],
  equipment: [
    { entry: 'identity', name: 'name', type: 'text', needed: true },
    { entry: 'identity', name: 'code', type: 'text', needed: true },
    { entry: 'identity', name: 'room', type: 'text' },
    { entry: 'count', name: 'value', label: 'count', type: 'whole' },
    { entry: 'unit_value', name: 'value_yuan', type: 'decimal' },
  ],
}

/** What was typed: by `entry/name`; yes or no is `true`, `false` or absent. */
export type Typed = Record<string, string>

export const keyOf = (spec: FieldSpec): string => `${spec.entry}/${spec.name}`

const DECIMAL = /^\d{1,12}(\.\d{1,6})?$/
const WHOLE = /^\d{1,9}$/

export function fits(spec: FieldSpec, text: string): boolean {
  if (spec.type === 'decimal') return DECIMAL.test(text)
  return spec.type === 'whole' ? WHOLE.test(text) : true
}

/** `9.2 × 8` exactly, as text; nothing where one of them is no number. */
export function product(a: string, b: string): string | null {
  if (!DECIMAL.test(a) || !DECIMAL.test(b)) return null
  const scaled = (text: string): [bigint, number] => {
    const [whole = '', part = ''] = text.split('.')
    return [BigInt(whole + part), part.length]
  }
  const [x, m] = scaled(a)
  const [y, n] = scaled(b)
  const digits = (x * y).toString().padStart(m + n + 1, '0')
  const at = digits.length - m - n
  const tail = digits.slice(at).replace(/0+$/, '')
  return tail ? `${digits.slice(0, at)}.${tail}` : digits.slice(0, at)
}

/** The values by entry, of what is typed and fits; a size needs both sides or the area. */
export function values(kind: ItemKind, typed: Typed): Record<string, Value> {
  const found: Record<string, Value> = {}
  for (const spec of FORMS[kind]) {
    const text = (typed[keyOf(spec)] ?? '').trim()
    if (text === '' || !fits(spec, text)) continue
    const value = (found[spec.entry] ??= {})
    value[spec.name] = spec.type === 'bool' ? text === 'true' : text
  }
  const size = found.size
  if (size && !('area_m2' in size) && !('length_m' in size && 'width_m' in size)) delete found.size
  else if (size?.area_m2 !== undefined) found.size = { area_m2: size.area_m2 }
  return found
}

/** Fields that keep the item from being saved because they are empty: needed, or half a size. */
export function lacking(kind: ItemKind, typed: Typed): FieldSpec[] {
  const text = (key: string): string => (typed[key] ?? '').trim()
  return FORMS[kind].filter((spec) => {
    if (text(keyOf(spec)) !== '') return false
    const other = { length_m: 'width_m', width_m: 'length_m' }[spec.name]
    return spec.needed === true || (other !== undefined && text(`size/${other}`) !== '' && text('size/area_m2') === '')
  })
}

/** What stands in an entry: its value, or the first candidate while they differ. */
export function standing(entry: Entry | undefined): Value | null {
  if (!entry) return null
  const state: ValueState = entry.value
  if (state.state === 'missing') return null
  return state.state === 'conflicting' ? (entry.candidates[0]?.value ?? null) : state.value
}

/** Whether an entry's candidates differ, so that nothing in it stands. */
export const differs = (entry: Entry | undefined): boolean => entry?.value.state === 'conflicting'

/** Why an entry was sent back, if it was and nothing answered it. */
export function returnedFor(entry: Entry | undefined): string | null {
  const review = entry?.review
  return review?.state === 'returned' && !review.overruled ? review.reason : null
}

/** What an entry's claims say that supports them, by themselves. */
export const ownPhotos = (entry: Entry | undefined): string[] => [...new Set(entry?.candidates.flatMap(({ photos }) => photos) ?? [])]

/** Photos that were linked to some entries: by their claims, or by what was said of the photo. */
export function photosOf(survey: SurveyView, paths: readonly string[]): string[] {
  const found = new Set<string>()
  for (const [path, entry] of Object.entries(survey.consolidated.entries)) {
    if (!path.startsWith('evidence/')) continue
    const named = entry.candidates.flatMap(({ value }) => String(value.entries ?? '').split(' '))
    if (named.some((one) => paths.includes(one))) found.add(path.slice('evidence/'.length))
  }
  return [...found]
}

/** Photos of an item, whichever of its entries they support. */
export function photosOfItem(survey: SurveyView, item: Item): string[] {
  const entries = Object.keys(item.fields)
  const paths = item.members.flatMap((member) => entries.map((entry) => `${item.kind}/${member}/${entry}`))
  return [...new Set([...Object.values(item.fields).flatMap(ownPhotos), ...photosOf(survey, paths)])]
}

/** An item's values as they would be typed. */
export function typedOf(kind: ItemKind, item: Item): Typed {
  const typed: Typed = {}
  for (const spec of FORMS[kind]) {
    const found = standing(item.fields[spec.entry])?.[spec.name]
    if (found !== undefined) typed[keyOf(spec)] = String(found)
  }
  return typed
}

/** Items of a kind that are there, with their keys. */
export function present(survey: SurveyView, kind: ItemKind): [string, Item][] {
  return Object.entries(survey.consolidated.items).filter(
    ([key, item]) => key.startsWith(`${kind}/`) && item.removal.state !== 'removed',
  )
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`
  if (count < 1024 * 1024) return `${Math.round(count / 1024)} kB`
  if (count < 1024 ** 3) return `${(count / 1024 ** 2).toFixed(1)} MB`
  return `${(count / 1024 ** 3).toFixed(1)} GB`
}
