// The names of results as the server writes them (`L4/primary`, `CV/L2/junior`,
// `rule/primary`, `A2-5`, `county`), in words.

import type { Text } from '../../core/types'
import type { IndicatorResult, Level, Outcome, Standard, StandardIndicator } from './types'

export interface ResultName {
  kind: 'county' | 'dimension' | 'rule' | 'coefficient' | 'indicator' | 'register'
  id: string
  stage: 'primary' | 'junior' | null
}

const isStage = (text: string | undefined): text is 'primary' | 'junior' => text === 'primary' || text === 'junior'

export function resultName(text: string, standard: Standard): ResultName {
  const parts = text.split('/')
  const last = parts.at(-1)
  const stage = parts.length > 1 && isStage(last) ? last : null
  const id = (parts[0] === 'CV' ? parts[1] : parts[0]) ?? text
  if (parts[0] === 'CV') return { kind: 'coefficient', id, stage }
  if (id === 'county' || id === 'rule' || id === 'register') return { kind: id, id, stage }
  const dimension = standard.dimensions.some((one) => one.id === id)
  return { kind: dimension ? 'dimension' : 'indicator', id, stage }
}

export function indicatorName(standard: Standard, id: string): Text | null {
  const found = standard.indicators.find((one) => one.id === id) ?? standard.dimensions.find((one) => one.id === id)
  return found?.name ?? null
}

/** A figure's quantity and part: `pupils:primary`. A figure of a question has the question's id. */
export function splitKey(key: string): { quantity: string; part: string } {
  const [quantity = key, part = 'whole'] = key.split(':')
  return { quantity, part }
}

/** A yes-or-no question of a standard with its indicator. */
export interface Question {
  id: string
  indicator: StandardIndicator
  name: Text
  /** The answer that meets it. */
  expect: boolean
}

export function questions(standard: Standard, level: Level): Question[] {
  return standard.indicators
    .filter((indicator) => indicator.level === level)
    .flatMap((indicator) =>
      indicator.conditions.flatMap(({ name, rule }) =>
        rule.type === 'yes_no' && rule.question
          ? [{ id: rule.question, indicator, name: name ?? indicator.name, expect: rule.expect ?? true }]
          : [],
      ),
    )
}

/** The county's quantities that an indicator's rules name. */
export function countyQuantities(standard: Standard, indicator: StandardIndicator): string[] {
  const found = new Set<string>()
  const walk = (node: unknown): void => {
    if (typeof node === 'string') {
      if (standard.quantities[node]?.county) found.add(node)
    } else if (node !== null && typeof node === 'object') {
      Object.values(node).forEach(walk)
    }
  }
  indicator.conditions.forEach((condition) => walk(condition.rule))
  return [...found]
}

/** The first value of a result as printed. */
export function printed(result: IndicatorResult): string {
  return result.conditions.find((condition) => condition.value)?.value?.printed ?? ''
}

/** Worse first. */
export const SEVERITY: Record<Outcome, number> = { not_met: 0, undetermined: 1, conditional: 2, met: 3 }
