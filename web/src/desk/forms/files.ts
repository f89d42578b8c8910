// Forms as files: a workbook of all of them with the forms' own heads, and a
// plain table of one.

import type { CellObject, SheetData } from 'write-excel-file/universal'
import { said } from '../i18n'
import { csvOf, sheetName } from '../parts/table'
import type { Form, NationalForms } from '../types'
import { headGrid, marked, spanOf, textOf } from './grid'

export function csv(form: Form): Blob {
  return csvOf([form.columns.map(({ name }) => said(name)), ...form.rows.map((row) => row.map(textOf))])
}

const BORDER = { borderStyle: 'thin' as const, borderColor: '#5b6472' }
const HEAD: CellObject = { ...BORDER, align: 'center', alignVertical: 'center', wrap: true, fontWeight: 'bold', backgroundColor: '#eef1f5' }
const OPEN = '#fdf1d3'

function across(value: string, columns: number, style: CellObject = {}): SheetData[number] {
  return [{ value, type: String, columnSpan: columns, wrap: true, ...style }, ...new Array<null>(columns - 1).fill(null)]
}

function cellOf(form: Form, row: number, column: number): CellObject | null {
  const cell = form.rows[row]?.[column]
  const span = spanOf(form, row, column)
  if (!cell || span === 0) return null
  const text = textOf(cell)
  const style: CellObject = { ...BORDER, wrap: true, alignVertical: 'center', ...(span > 1 && { rowSpan: span }), ...(cell.open && { backgroundColor: OPEN }) }
  const decimals = form.columns[column]?.number && /^\d+(?:\.(\d+))?$/.exec(text)
  if (!decimals) return { value: text, type: String, ...style }
  return { value: Number(text), type: Number, format: decimals[1] ? `0.${'0'.repeat(decimals[1].length)}` : '0', ...style }
}

function sheetOf(form: Form, status: string): SheetData {
  const width = form.columns.length
  const head = headGrid(form.head, width).map((line) =>
    line.map((one) => one && { value: said(one.text), type: String, ...HEAD, ...(one.across > 1 && { columnSpan: one.across }), ...(one.down > 1 && { rowSpan: one.down }) }),
  )
  return [
    across(said(form.name), width, { fontWeight: 'bold', fontSize: 14, align: 'center' }),
    across(status, width, { align: 'right' }),
    ...head,
    ...form.rows.map((row, number) => row.map((_, column) => cellOf(form, number, column))),
    ...form.notes.map((note) => across(said(note), width, { alignVertical: 'top', height: 32 } as CellObject)),
  ]
}

/** Wide enough for what is in the column, and for the paper. */
function widths(form: Form): { width: number }[] {
  const long = (text: string): number => [...text].reduce((sum, letter) => sum + (letter > '\u2e7f' ? 2 : 1), 0)
  return form.columns.map(({ number }, column) => {
    const most = Math.max(...form.rows.map((row) => long(textOf(row[column] ?? { printed: '' }))), 0)
    return { width: number ? 11 : Math.min(Math.max(most + 2, 10), 48) }
  })
}

export interface Words {
  status: string
  about: string
  facts: string[][]
  cell: string
  why: string
}

/** All forms, one sheet each, and a last one with what is open and what they were made from. */
export async function workbook(national: NationalForms, words: Words): Promise<Blob> {
  // The variant without workers, as `vite.desk.config.ts` sees to.
  const { default: write } = await import('write-excel-file/universal')
  const forms = national.forms.map((form) => ({
    sheet: sheetName(said(form.name).split(' ').slice(0, said(form.name).startsWith('Form') ? 2 : 1).join(' ')),
    data: sheetOf(form, words.status),
    columns: widths(form),
    orientation: 'landscape' as const,
    stickyRowsCount: form.head.length + 2,
  }))
  const text = (value: string, style: CellObject = {}): CellObject => ({ value, type: String, wrap: true, alignVertical: 'top', ...style })
  const open = national.forms.flatMap((form) =>
    marked(form).map(({ cell, row, column }) => {
      const reasons = (cell.open?.reasons ?? []).map((one) => `${one.school_name ?? ''} ${said(one.text)}`.trim())
      return [text(`${said(form.name).split(' ')[0] ?? ''} ${row} ${said(column.name)}`), text([...reasons, ...(cell.note ? [said(cell.note)] : [])].join('\n'))]
    }),
  )
  const about: SheetData = [
    [text(words.status, { fontWeight: 'bold' }), null],
    ...words.facts.map((line) => line.map((value) => text(value))),
    [text(words.cell, { fontWeight: 'bold' }), text(words.why, { fontWeight: 'bold' })],
    ...open,
  ]
  return write([...forms, { sheet: sheetName(words.about), data: about, columns: [{ width: 60 }, { width: 80 }] }]).toBlob()
}

