// Where this device is, as far as it tells. Nothing waits for it: a claim is
// made with the last place that is still fresh, or without one.

import { ref } from 'vue'
import type { Place } from '../core/types'

/** An older place says little of where the inspector is now. */
const FRESH_MS = 120_000
/** Digits after the point: 0.1 m. */
const DIGITS = 6
const KEY = 'duxue-place'

export const placeWanted = ref(localStorage.getItem(KEY) !== 'no')
/** Metres of uncertainty of the last place, or why there is none. */
export const placeState = ref<'off' | 'asking' | 'refused' | 'none' | number>(placeWanted.value ? 'asking' : 'off')

let last: { place: Place; at: number } | null = null
let watching: number | undefined
let expiry: ReturnType<typeof setTimeout> | undefined
let forms = 0

function found({ coords, timestamp }: GeolocationPosition): void {
  const accuracy = Math.ceil(coords.accuracy)
  const place = {
    latitude: coords.latitude.toFixed(DIGITS),
    longitude: coords.longitude.toFixed(DIGITS),
    accuracy_m: String(accuracy),
  }
  // A clock that is far from the satellites' says nothing about the age.
  const age = Math.abs(Date.now() - timestamp)
  const at = age < FRESH_MS ? timestamp : Date.now()
  last = { place, at }
  placeState.value = accuracy
  clearTimeout(expiry)
  expiry = setTimeout(expired, Math.max(at + FRESH_MS - Date.now(), 0))
}

/** It says nothing of now any more: no claim carries it, and the device is asked again. */
function expired(): void {
  last = null
  if (typeof placeState.value === 'number') placeState.value = 'asking'
  if (watching !== undefined) navigator.geolocation.clearWatch(watching)
  watching = undefined
  update()
}

function update(): void {
  const wanted = placeWanted.value && forms > 0 && 'geolocation' in navigator
  if (wanted && watching === undefined) {
    watching = navigator.geolocation.watchPosition(
      found,
      (error) => {
        placeState.value = error.code === error.PERMISSION_DENIED ? 'refused' : 'none'
      },
      { enableHighAccuracy: true, maximumAge: FRESH_MS / 2 },
    )
  } else if (!wanted && watching !== undefined) {
    navigator.geolocation.clearWatch(watching)
    watching = undefined
  }
}

/** While a form is shown; gives what to call when it goes. */
export function followPlace(): () => void {
  forms += 1
  update()
  return () => {
    forms -= 1
    update()
  }
}

export function wantPlace(wanted: boolean): void {
  placeWanted.value = wanted
  placeState.value = wanted ? 'asking' : 'off'
  if (!wanted) last = null
  localStorage.setItem(KEY, wanted ? 'yes' : 'no')
  update()
}

/** The place for a claim that is made now. */
export function placeNow(): Place | null {
  return last && Math.abs(Date.now() - last.at) < FRESH_MS ? last.place : null
}
