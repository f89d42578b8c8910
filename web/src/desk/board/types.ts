// What these pages know beside the server's answers: the standard, and the
// changes that a what-if tries.

import type { Scalar, Text } from '../../core/types'
import type { CountyAssessment, Stage } from '../types'

export type * from '../types'
export type { Scalar }

export type StageSummary = CountyAssessment['stages'][number]
export type Dimension = CountyAssessment['dimensions'][number]

export type Part = 'whole' | Stage | 'senior' | 'kindergarten' | 'special'
export type Level = 'stage' | 'school' | 'county'

export interface Quantity {
  id: string
  name: Text
  unit: Text
  county: boolean
  parts: Part[]
  /** How items make it, where they do. */
  items: { from: string } | null
  decimals: number
  bound: string | null
  clause: string
}

export interface StandardCondition {
  name: Text | null
  rule: { type: string; question?: string; expect?: boolean } & Record<string, unknown>
}

export interface StandardIndicator {
  id: string
  dimension: string
  name: Text
  level: Level
  clause: string
  conditions: StandardCondition[]
}

/** A round's standard with its overlays. */
export interface Standard {
  id: string
  name: Text
  source: string
  quantities: Record<string, Quantity>
  dimensions: { id: string; name: Text; clause: string }[]
  indicators: StandardIndicator[]
  school_rule: { items: string[]; met_at_least: number; floor: string } | null
  difference: { items: string[]; test: 'each' | 'mean' } | null
  county_facts: string[]
}

export type Change =
  | { change: 'move_pupils'; from: string; to: string; stage: Stage; pupils: number }
  | { change: 'set_quantity' | 'add_quantity'; school: string; figure: string; value: string }
  | { change: 'add_room'; school: string; purpose: string; net_area_m2: string; gross_area_m2: string; multimedia: boolean }
  | { change: 'buy_equipment'; school: string; value_yuan: string }
