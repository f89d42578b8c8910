// A plan to try: changes in the order in which they are made, kept in the
// page's address so that it can be sent to someone.

import type { Change } from './types'

const KINDS: readonly string[] = ['move_pupils', 'add_quantity', 'set_quantity', 'add_room', 'buy_equipment']

export function readPlan(text: unknown): Change[] {
  if (typeof text !== 'string' || !text) return []
  try {
    const read: unknown = JSON.parse(text)
    if (!Array.isArray(read)) return []
    // What else is wrong in it the server says, with the number of the change.
    return read.filter((one): one is Change => typeof one === 'object' && one !== null && KINDS.includes(String((one as Change).change)))
  } catch {
    // An address that was cut short is no plan.
    return []
  }
}

export function writePlan(plan: Change[]): string | undefined {
  return plan.length ? JSON.stringify(plan) : undefined
}

/** A decimal as the server takes it, of at most so many decimals. */
export function isDecimal(text: string, decimals: number): boolean {
  const fraction = decimals > 0 ? `(\\.\\d{1,${decimals}})?` : ''
  return new RegExp(`^\\d{1,15}${fraction}$`).test(text.trim())
}
