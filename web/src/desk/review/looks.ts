// What someone looked at when choosing entries: a decision is on exactly that,
// never on what came since, and never on what a filter hides.

import { computed, shallowReactive, shallowRef, watch, type ComputedRef, type WritableComputedRef } from 'vue'
import type { Seen } from '../../core/types'
import { isSame, seen, type EntryRow } from '../parts/entries'

export interface Looks {
  /** Paths that are ticked. */
  selected: WritableComputedRef<Set<string>>
  /** What a decision would be on: the ticked rows of the list, else the one that is open. */
  targets: ComputedRef<EntryRow[]>
  /** Those of them that are still what was looked at, with what that was. */
  fit: ComputedRef<[EntryRow, Seen][]>
  /** How many are ticked and not in the list as it is filtered. */
  hidden: ComputedRef<number>
  isChanged: (row: EntryRow) => boolean
  /** The entry is looked at as it is now. */
  look: (path: string) => void
}

/** `listed` are the paths in the list, filters applied. */
export function useLooks(rows: () => EntryRow[], listed: () => string[], open: () => EntryRow | null): Looks {
  const looks = shallowReactive(new Map<string, Seen>())
  const ticked = shallowRef(new Set<string>())

  function look(path: string): void {
    const row = rows().find((one) => one.path === path)
    if (row) looks.set(path, seen(row.entry))
  }
  const isChanged = (row: EntryRow): boolean => {
    const looked = looks.get(row.path)
    return looked !== undefined && !isSame(looked, seen(row.entry))
  }

  const selected = computed({
    get: () => ticked.value,
    set: (now) => {
      for (const path of now) if (!ticked.value.has(path)) look(path)
      for (const path of ticked.value) if (!now.has(path) && path !== open()?.path) looks.delete(path)
      ticked.value = now
    },
  })
  watch(
    () => open()?.path,
    (now, before) => {
      if (before !== undefined && !ticked.value.has(before)) looks.delete(before)
      if (now !== undefined) look(now)
    },
    { immediate: true },
  )

  const targets = computed(() => {
    const at = open()
    if (ticked.value.size === 0) return at ? [at] : []
    const inList = new Set(listed())
    return rows().filter(({ path }) => ticked.value.has(path) && inList.has(path))
  })
  const fit = computed(() =>
    targets.value.flatMap((row): [EntryRow, Seen][] => {
      const looked = looks.get(row.path)
      return looked && !isChanged(row) ? [[row, looked]] : []
    }),
  )
  const hidden = computed(() => {
    const inList = new Set(listed())
    return rows().filter(({ path }) => ticked.value.has(path) && !inList.has(path)).length
  })
  return { selected, targets, fit, hidden, isChanged, look }
}
