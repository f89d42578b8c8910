// Forms as grids: which cells span others, on the page and in a spreadsheet.

import { isChinese } from '../i18n'
import type { Form, FormCell, FormReason } from '../types'

/** What a cell says in the language of the moment. */
export function textOf(cell: FormCell): string {
  return isChinese() ? cell.printed : (cell.en ?? cell.printed)
}

/** How many rows a cell spans; 0 where the one above spans it. */
export function spanOf(form: Form, row: number, column: number): number {
  const same = (a: number, b: number): boolean => form.rows[a]?.[column]?.printed === form.rows[b]?.[column]?.printed
  if (column >= form.grouped) return 1
  if (row > 0 && same(row - 1, row)) return 0
  let span = 1
  while (row + span < form.rows.length && same(row, row + span)) span += 1
  return span
}

/** The head on a grid: each cell at the column where it begins, null where one spans. */
export function headGrid<Head extends { down: number; across: number }>(lines: Head[][], columns: number): (Head | null)[][] {
  const free = new Array<number>(columns).fill(0)
  return lines.map((line, level) => {
    const cells = new Array<Head | null>(columns).fill(null)
    let column = 0
    for (const head of line) {
      while ((free[column] ?? level) > level) column += 1
      cells[column] = head
      free.fill(level + head.down, column, column + head.across)
      column += head.across
    }
    return cells
  })
}

/** The cells of a form that are open or have a note, with where they are. */
export interface Marked {
  cell: FormCell
  row: string
  column: Form['columns'][number]
}

export function marked(form: Form): Marked[] {
  // The cells that name a row: the school, or the stage and the line, or the item.
  const names = form.id === 'II-2' ? [1] : form.grouped ? [0, 1] : form.id === 'I' ? [] : [0]
  return form.rows.flatMap((row) => {
    const name = names.map((column) => textOf(row[column] ?? { printed: '' })).join(' ')
    return row.flatMap((cell, column) => {
      const of = form.columns[column]
      return of && (cell.open || cell.note) ? [{ cell, row: name, column: of }] : []
    })
  })
}

/** What leaves cells open, by school; those of the county's own figures come last. */
export interface Cause {
  school: string | null
  name: string | null
  texts: FormReason['text'][]
}

export function causes(forms: Form[]): { causes: Cause[]; more: number } {
  const found = new Map<string, Cause>()
  let more = 0
  for (const { cell } of forms.flatMap(marked)) {
    more = Math.max(more, cell.open?.more ?? 0)
    for (const { school, school_name, text } of cell.open?.reasons ?? []) {
      const cause = found.get(school ?? '') ?? { school: school ?? null, name: school_name ?? null, texts: [] }
      if (!cause.texts.some(({ zh }) => zh === text.zh)) cause.texts.push(text)
      found.set(school ?? '', cause)
    }
  }
  const all = [...found.values()]
  return { causes: [...all.filter(({ school }) => school), ...all.filter(({ school }) => !school)], more }
}
