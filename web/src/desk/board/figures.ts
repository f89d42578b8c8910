// A school's figures: what the assessment uses, beside what was declared and
// what was seen.

import { extremes, sum } from '../parts/exact'
import { splitKey } from './names'
import type { Bounds, Declared, Entry, Figure, Piece, Source, Standard } from './types'

export interface FigureRow {
  campus: string
  key: string
  used: string
  source: Source
  declared: string
  observed: string
  /** Whether an alarm says that declared and observed differ. */
  differs: boolean
  gaps: string[]
  open: boolean
  unreviewed: boolean
  /** The entries behind it. */
  paths: string[]
  photos: number
}

/** `96`, `90–96`, `≥0`. */
export function bounds(one: Bounds): string {
  if (one.high === null) return `≥${one.low}`
  return one.high === one.low ? one.low : `${one.low}–${one.high}`
}

/** Things one by one, equal ones together: `41 × 38、40 × 3`. */
function listed(sizes: string[]): string {
  const count = new Map<string, number>()
  for (const size of sizes) count.set(size, (count.get(size) ?? 0) + 1)
  return [...count].map(([size, times]) => (times > 1 ? `${size} × ${times}` : size)).join('、')
}

const listedOf = (pieces: Piece[]): string => listed(pieces.map(({ size }) => bounds(size)))

/** The sum of parts, from the least that it can be to the most. */
function total(pieces: Piece[]): Bounds {
  const highs = pieces.map(({ size }) => size.high)
  return {
    low: sum(pieces.map(({ certain, size }) => (certain ? size.low : '0'))),
    high: highs.includes(null) ? null : sum(highs.filter((high) => high !== null)),
  }
}

/** One of these, nobody knows which yet. */
const oneOf = (cases: string[]): string => (cases.length > 1 ? `(${cases.join(' / ')})` : (cases[0] ?? ''))

/** The rooms or classes one by one, or their sum; where a conflict is open, every case of it. */
function used(figure: Figure, isList: boolean): string {
  // What nobody gives is not nothing.
  if (figure.source === 'missing') return ''
  const groups = figure.open.map(({ cases }) => cases)
  if (isList) {
    const cases = groups.map((all) => oneOf([...new Set(all.map((one) => listedOf(one) || '0'))]))
    return [...(figure.fixed.length ? [listedOf(figure.fixed)] : []), ...cases].join('、') || '0'
  }
  const ranges = groups.map((all) => range(all.map(total)))
  const parts = [total(figure.fixed), ...ranges].map((size) => ({ certain: true, size }))
  return bounds(total(parts))
}

/** From the lowest of some bounds to the highest. */
function range(all: Bounds[]): Bounds {
  const highs = all.map(({ high }) => high)
  return {
    low: extremes(all.map(({ low }) => low))?.[0] ?? '0',
    high: highs.includes(null) ? null : (extremes(highs.filter((high) => high !== null))?.[1] ?? '0'),
  }
}

function stated(entry: Entry | undefined): string {
  const state = entry?.value
  if (!state || !('value' in state)) return ''
  const value = state.value['value']
  return value === undefined ? '' : String(value)
}

export function figureRows(
  standard: Standard,
  campus: string,
  figures: Record<string, Figure>,
  view: { declared: Declared; entries: Record<string, Entry> } | null,
  differing: Set<string>,
): FigureRow[] {
  return Object.entries(figures).map(([key, figure]) => {
    const isList = ['rooms', 'class_sizes'].includes(standard.quantities[splitKey(key).quantity]?.items?.from ?? '')
    const seen = figure.beside.find(({ source }) => source === 'observed_items' || source === 'observed_register')
    const isObserved = figure.source === 'observed_items' || figure.source === 'observed_register'
    const observed = stated(view?.entries[`quantities/${key}`]) || (isObserved ? used(figure, isList) : seen ? bounds(seen.value) : '')
    return {
      campus,
      key,
      used: used(figure, isList),
      source: figure.source,
      declared: declaredOf(key, view?.declared ?? null),
      observed,
      differs: differing.has(key),
      gaps: figure.gaps,
      open: (figure.open ?? []).length > 0,
      unreviewed: figure.entries.some((entry) => entry.unreviewed),
      paths: figure.entries.map((entry) => entry.path),
      photos: new Set(figure.entries.flatMap((entry) => entry.photos)).size,
    }
  })
}

/** Rooms and classes were declared one by one. */
function declaredOf(key: string, declared: Declared | null): string {
  if (!declared) return ''
  const { quantity, part } = splitKey(key)
  if (quantity === 'music_rooms' || quantity === 'art_rooms') {
    const purpose = quantity.replace('_rooms', '')
    return listed((declared.rooms ?? []).filter((room) => room.purpose === purpose).map((room) => room.area_m2))
  }
  if (quantity === 'max_class_size') {
    return listed((declared.classes ?? []).filter(({ stage }) => stage === part).map(({ pupils }) => String(pupils)))
  }
  return declared.figures[key] ?? ''
}
