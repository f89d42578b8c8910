// Results in the words of the moment's language.

import { useI18n } from 'vue-i18n'
import { said } from '../i18n'
import { indicatorName, resultName, splitKey } from './names'
import type { ConditionResult, IndicatorResult, Standard } from './types'

export interface Words {
  /** An indicator's or dimension's name, or its id where the standard has none. */
  indicator: (id: string) => string
  /** A result: `CV/L2/junior`. */
  result: (name: string) => string
  /** A quantity with its part: `pupils:primary`. */
  figure: (key: string) => string
  unit: (key: string) => string
}

export function useWords(standard: () => Standard): Words {
  const { t } = useI18n()
  const indicator = (id: string): string => {
    const name = indicatorName(standard(), id)
    return name ? said(name) : id
  }
  const result = (name: string): string => {
    const { kind, id, stage } = resultName(name, standard())
    const of = stage ? `${t(`shell.stage.${stage}`)} ` : ''
    if (kind === 'county') return t('board.verdict')
    if (kind === 'register') return t('board.register')
    if (kind === 'rule') return `${of}${t('board.rule')}`
    if (kind === 'coefficient') return `${of}${t('board.coefficient')} ${id === 'mean' ? t('board.mean') : id}`
    return `${of}${id} ${indicator(id)}`
  }
  const quantity = (key: string) => standard().quantities[splitKey(key).quantity]
  const figure = (key: string): string => {
    const { part } = splitKey(key)
    const known = quantity(key)
    const name = known ? said(known.name) : questionName(standard(), splitKey(key).quantity)
    return part === 'whole' ? name : `${name} · ${t(`board.part.${part}`)}`
  }
  const unit = (key: string): string => {
    const known = quantity(key)
    return known ? said(known.unit) : ''
  }
  return { indicator, result, figure, unit }
}

function questionName(standard: Standard, id: string): string {
  for (const indicator of standard.indicators) {
    const asked = indicator.conditions.find(({ rule }) => rule.type === 'yes_no' && rule.question === id)
    if (asked) return said(asked.name ?? indicator.name)
  }
  return id
}

/** Every value of a result as printed, with its name where there are several. */
export function values(result: IndicatorResult): string {
  const one = (condition: ConditionResult): string => {
    const value = condition.value?.printed ?? ''
    return value && condition.name && result.conditions.length > 1 ? `${said(condition.name)} ${value}` : value
  }
  return result.conditions.map(one).filter(Boolean).join('；')
}

export function thresholds(result: IndicatorResult): string {
  return [...new Set(result.conditions.map((condition) => condition.threshold ?? '').filter(Boolean))].join('；')
}

/** What is lacking, in units that someone can act on. */
export function gaps(result: IndicatorResult): string[] {
  return result.conditions.flatMap((condition) => (condition.lacking ?? []).map((one) => said(one.text)))
}

/** What is lacking to the floor (85 %). */
export function floorGaps(result: IndicatorResult): string[] {
  return result.conditions.flatMap((condition) => (condition.lacking_to_floor ?? []).map((one) => said(one.text)))
}
