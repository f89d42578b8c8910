// The workbook that a county fills in. The server says what is in it, from the
// columns that its import reads; here it only becomes a file.

import type { CellObject, SheetData } from 'write-excel-file/universal'
import type { ImportTemplate } from '../types'

const HEAD: CellObject = { fontWeight: 'bold', backgroundColor: '#eef1f5', wrap: true, alignVertical: 'center', borderStyle: 'thin' }

/** Twice as wide for Chinese. */
const widthOf = (text: string): number => [...text].reduce((sum, letter) => sum + (letter > '\u2e7f' ? 2 : 1), 0)

export async function templateFile({ sheets }: ImportTemplate): Promise<Blob> {
  // The variant without workers, as `vite.desk.config.ts` sees to.
  const { default: write } = await import('write-excel-file/universal')
  const made = sheets.map(({ name, rows }) => {
    const text = (value: string, style: CellObject): CellObject => ({ value, type: String, ...style })
    const data: SheetData = rows.map((row, number) => row.map((cell) => text(cell, number === 0 ? HEAD : { wrap: true, alignVertical: 'top' })))
    const columns = (rows[0] ?? []).map((_, column) => ({ width: Math.min(Math.max(...rows.map((row) => widthOf(row[column] ?? '')), 8) + 2, rows.length > 1 ? 48 : 24) }))
    return { sheet: name, data, columns, stickyRowsCount: 1 }
  })
  return write(made).toBlob()
}
