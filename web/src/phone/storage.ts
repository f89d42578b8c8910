// The room on this device, and whether the browser promised to keep it.

import { computed, shallowRef } from 'vue'

/** Bytes; a school's photos are about as much. */
const ROOM_LEAST = 200 * 1024 * 1024

interface Room {
  persisted: boolean | null
  used: number
  free: number
}

export const room = shallowRef<Room | null>(null)
export const roomIsLow = computed(() => room.value !== null && room.value.free < ROOM_LEAST)

/** Reads how much room there is; says nothing where the browser does not tell. */
export async function lookAtRoom(): Promise<void> {
  const estimate = await navigator.storage?.estimate?.()
  if (estimate?.quota === undefined) return
  const used = estimate.usage ?? 0
  room.value = { persisted: (await navigator.storage.persisted?.()) ?? null, used, free: Math.max(estimate.quota - used, 0) }
}

/** Asks the browser not to clear the data by itself; some ask the user, some decide. */
export async function askToPersist(): Promise<void> {
  await navigator.storage?.persist?.()
  await lookAtRoom()
}
