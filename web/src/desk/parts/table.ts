// What a table shows, apart from how: columns, order, filters, export.

import { compareTexts } from './exact'

export interface Column<Row> {
  key: string
  title: string
  /** What it is sorted, filtered and exported by; null where nothing is known. */
  value: (row: Row) => string | number | boolean | null
  /** What is shown, and listed as a choice; the value where it is absent. */
  text?: (row: Row) => string
  number?: boolean
  /** `choice` lists what there is; `text` finds a part of it. */
  filter?: 'choice' | 'text'
  sortable?: boolean
  /** Below this width of the page the column is left out; it is always exported. */
  from?: number
  width?: string
}

export interface Order {
  key: string
  down: boolean
}

export function textOf<Row>(column: Column<Row>, row: Row): string {
  if (column.text) return column.text(row)
  const value = column.value(row)
  return value === null ? '' : String(value)
}

/** In the order of a column; what is not known comes last either way. */
export function sorted<Row>(rows: Row[], column: Column<Row>, down: boolean, locale: string): Row[] {
  const collator = new Intl.Collator(locale, { numeric: true })
  const texts = compareTexts(collator)
  const compare = (a: string | number | boolean, b: string | number | boolean): number =>
    typeof a === 'string' || typeof b === 'string' ? texts(String(a), String(b)) : Number(a) - Number(b)
  const keyed = rows.map((row, index) => ({ row, index, value: column.value(row) }))
  keyed.sort((a, b) => {
    if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null) || a.index - b.index
    return (down ? -compare(a.value, b.value) : compare(a.value, b.value)) || a.index - b.index
  })
  return keyed.map(({ row }) => row)
}

export function matching<Row>(rows: Row[], columns: Column<Row>[], search: string, filters: Record<string, string>): Row[] {
  const wanted = search.trim().toLowerCase()
  const tests = columns.flatMap((column) => {
    const filter = filters[column.key]
    if (filter === undefined) return []
    // One of the choices may be that nothing is there.
    if (column.filter === 'choice') return [(row: Row) => textOf(column, row) === filter]
    const part = filter.trim().toLowerCase()
    if (!part) return []
    return [(row: Row) => textOf(column, row).toLowerCase().includes(part)]
  })
  if (!wanted && tests.length === 0) return rows
  const found = (row: Row): boolean => columns.some((column) => textOf(column, row).toLowerCase().includes(wanted))
  return rows.filter((row) => tests.every((test) => test(row)) && (!wanted || found(row)))
}

/** A text that a spreadsheet would take for a formula is kept a text. */
function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text
}

export function csv<Row>(rows: Row[], columns: Column<Row>[]): Blob {
  return csvOf([columns.map(({ title }) => title), ...rows.map((row) => columns.map((column) => textOf(column, row)))])
}

/** Lines of texts as CSV. */
export function csvOf(texts: string[][]): Blob {
  const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const lines = texts.map((line) => line.map(harmless))
  // The mark makes spreadsheets read Chinese right.
  const text = '\uFEFF' + lines.map((line) => line.map(cell).join(',')).join('\r\n') + '\r\n'
  return new Blob([text], { type: 'text/csv;charset=utf-8' })
}

/** As many digits as a double, and a spreadsheet, keeps as they were typed. */
const DIGITS_KEPT = 15

/** The format that shows a decimal as it is, where a spreadsheet's number can
 * be exactly it; null for others, which stay texts: `12–15`, `41 × 38`. */
function numberFormat(text: string): string | null {
  const [, whole = '', fraction = ''] = /^-?(\d+)(?:\.(\d+))?$/.exec(text) ?? []
  if (whole === '' || `${whole}${fraction}`.replace(/^0+/, '').length > DIGITS_KEPT) return null
  return fraction ? `0.${'0'.repeat(fraction.length)}` : '0'
}

export async function xlsx<Row>(rows: Row[], columns: Column<Row>[], sheet: string): Promise<Blob> {
  // The variant without workers, as `vite.desk.config.ts` sees to.
  const { default: write } = await import('write-excel-file/universal')
  const head = columns.map(({ title }) => ({ value: title, fontWeight: 'bold' as const }))
  const body = rows.map((row) =>
    columns.map((column) => {
      const value = column.value(row)
      if (typeof value === 'number' && !column.text) return { value, type: Number }
      const text = textOf(column, row)
      // Only in columns of numbers: a school's id is made of digits too.
      const format = column.number ? numberFormat(text) : null
      return format === null ? { value: text, type: String } : { value: Number(text), type: Number, format }
    }),
  )
  return write([head, ...body], { sheet: sheetName(sheet), stickyRowsCount: 1 }).toBlob()
}

/** Without what a spreadsheet does not take in a sheet's name. */
export function sheetName(text: string): string {
  return text.replace(/[\\/?*[\]:]/g, ' ').slice(0, 31)
}

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser reads the address after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
