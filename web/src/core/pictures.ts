// What happens to a picture before it is stored: how it looks is remembered,
// and where the round does not keep originals its long side is limited. Runs
// in the worker, so that typing goes on meanwhile.

import { uprightExif, withSegment } from './exif'

/** Pixels; a room's number plate is still read at this size. */
const LONG_SIDE_MOST = 2560
const QUALITY = 0.85
/** Grey levels between the darkest and the lightest part; below, every wall looks like every other. */
const CONTRAST_LEAST = 24
/** Bits of 64 in which two takes of the same picture differ: measured 1 recompressed, 2 brightened. */
const SAME_BITS_MOST = 3

export interface Picture {
  bytes: Blob
  /** A fingerprint of what is to be seen, 16 hex digits; null where there is nothing to tell it by. */
  look: string | null
}

/** What cannot be decoded here is kept as it is: the server may know better. */
export async function prepare(file: Blob, keepOriginal: boolean): Promise<Picture> {
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' })
  } catch {
    return { bytes: file, look: null }
  }
  try {
    const look = lookOf(bitmap)
    const long = Math.max(bitmap.width, bitmap.height)
    if (keepOriginal || long <= LONG_SIDE_MOST) return { bytes: file, look }
    const smaller = await shrink(bitmap, LONG_SIDE_MOST / long)
    if (smaller.size >= file.size) return { bytes: file, look }
    const exif = uprightExif(await file.arrayBuffer())
    return { bytes: exif ? withSegment(smaller, exif) : smaller, look }
  } finally {
    bitmap.close()
  }
}

/** Whether two fingerprints are of the same picture, as far as can be told. */
export function alike(a: string, b: string): boolean {
  let differing = BigInt(`0x${a}`) ^ BigInt(`0x${b}`)
  let bits = 0
  for (; differing > 0n; differing &= differing - 1n) bits += 1
  return bits <= SAME_BITS_MOST
}

async function shrink(bitmap: ImageBitmap, by: number): Promise<Blob> {
  const width = Math.round(bitmap.width * by)
  const height = Math.round(bitmap.height * by)
  const canvas = new OffscreenCanvas(width, height)
  draw(canvas, bitmap)
  return canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY })
}

function draw(canvas: OffscreenCanvas, bitmap: ImageBitmap): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true })
  if (!context) throw new Error('no canvas')
  context.imageSmoothingQuality = 'high'
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
  return context
}

/** Of each pair of neighbours among 9 × 8 grey points, whether the left is lighter. */
function lookOf(bitmap: ImageBitmap): string | null {
  const canvas = new OffscreenCanvas(9, 8)
  const { data } = draw(canvas, bitmap).getImageData(0, 0, 9, 8)
  const grey = Array.from({ length: 72 }, (_, at) => (data[4 * at] ?? 0) * 3 + (data[4 * at + 1] ?? 0) * 6 + (data[4 * at + 2] ?? 0))
  if (Math.max(...grey) - Math.min(...grey) < CONTRAST_LEAST * 10) return null
  let bits = 0n
  for (let at = 0; at < 72; at += 1) {
    if (at % 9 !== 8) bits = (bits << 1n) | ((grey[at] ?? 0) > (grey[at + 1] ?? 0) ? 1n : 0n)
  }
  return bits.toString(16).padStart(16, '0')
}
