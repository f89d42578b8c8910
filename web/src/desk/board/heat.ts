// The heat map's rows and columns, from an assessment.

import type { Text } from '../../core/types'
import { compareTexts } from '../parts/exact'
import { SEVERITY, printed } from './names'
import type { Assessment, IndicatorResult, Outcome, Stage, StageAssessment } from './types'

export interface HeatCell {
  outcome: Outcome | null
  printed: string
  /** The result behind it; absent for the school rule. */
  result: IndicatorResult | null
}

export interface HeatRow {
  school: string
  name: string
  kind: string
  pupils: string
  /** Why the row does not count, or that it is open whether it does. */
  counts: boolean | null
  notCounted: Text | null
  cells: Record<string, HeatCell>
}

/** Of a stage: what the columns are, the rule first. */
export function columnsOf(assessment: Assessment, stage: Stage): string[] {
  const summary = assessment.county.stages.find((one) => one.stage === stage)
  const items = summary?.items.map((item) => item.id) ?? []
  return [...items.filter((id) => id === 'rule'), ...items.filter((id) => id !== 'rule')]
}

export function rowsOf(assessment: Assessment, stage: Stage): HeatRow[] {
  const rows: HeatRow[] = []
  for (const { school, stages } of assessment.schools) {
    const row = stages.find((one) => one.stage === stage)
    if (row) rows.push({ ...heatRow(row), school: school.id, name: school.name, kind: school.kind })
  }
  return rows
}

function heatRow(row: StageAssessment): Omit<HeatRow, 'school' | 'name' | 'kind'> {
  const cells: Record<string, HeatCell> = {}
  for (const result of row.indicators) {
    cells[result.id] = { outcome: result.outcome, printed: printed(result), result }
  }
  if (row.rule) {
    const [certain, possible] = row.rule.met
    const count = certain === possible ? String(certain) : `${certain}–${possible}`
    cells['rule'] = { outcome: row.rule.outcome, printed: count, result: null }
  }
  return { pupils: row.pupils, counts: row.counts, notCounted: row.not_counted?.text ?? null, cells }
}

/** Schools with what does not count last, then by the worst of a column. */
export function sortRows(rows: HeatRow[], by: string, descending: boolean): HeatRow[] {
  const sign = descending ? -1 : 1
  const sorted = [...rows]
  const compare = compareTexts(new Intl.Collator('zh-CN', { numeric: true }))
  sorted.sort((a, b) => {
    const counted = Number(a.counts === false) - Number(b.counts === false)
    if (counted !== 0) return counted
    if (by === 'name') return sign * compare(a.name, b.name)
    if (by === 'pupils') return sign * compare(a.pupils, b.pupils)
    const [left, right] = [a.cells[by], b.cells[by]]
    const severity = rank(left?.outcome) - rank(right?.outcome)
    return sign * (severity || compare(left?.printed ?? '', right?.printed ?? ''))
  })
  return sorted
}

function rank(outcome: Outcome | null | undefined): number {
  return outcome ? SEVERITY[outcome] : 4
}
