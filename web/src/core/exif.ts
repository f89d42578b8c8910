// Keeps what a camera wrote into a JPEG (time, place, make) when the picture
// is made smaller. The pixels are upright by then, so the orientation is set
// to say so; everything else stays as the camera wrote it.

const START = 0xffd8
const APP1 = 0xffe1
const SCAN = 0xffda
const EXIF = 'Exif\0\0'
const ORIENTATION = 0x0112
const UPRIGHT = 1

/** The whole Exif segment, marker included; null where there is none that can be read. */
export function uprightExif(jpeg: ArrayBuffer): Uint8Array<ArrayBuffer> | null {
  try {
    const found = exifSegment(jpeg)
    if (found) setUpright(found)
    return found
  } catch (error) {
    // A segment that ends too early is no reason to lose the photo.
    if (error instanceof RangeError) return null
    throw error
  }
}

/** The JPEG with a segment after its start. */
export function withSegment(jpeg: Blob, segment: Uint8Array<ArrayBuffer>): Blob {
  return new Blob([jpeg.slice(0, 2), segment, jpeg.slice(2)], { type: jpeg.type })
}

function exifSegment(jpeg: ArrayBuffer): Uint8Array<ArrayBuffer> | null {
  const view = new DataView(jpeg)
  if (view.getUint16(0) !== START) return null
  for (let at = 2; at + 4 <= view.byteLength; ) {
    const marker = view.getUint16(at)
    const length = view.getUint16(at + 2)
    if (marker >> 8 !== 0xff || marker === SCAN || length < 2) return null
    const bytes = new Uint8Array(jpeg, at, length + 2)
    if (marker === APP1 && String.fromCharCode(...bytes.subarray(4, 10)) === EXIF) return bytes.slice()
    at += length + 2
  }
  return null
}

function setUpright(segment: Uint8Array): void {
  const tiff = new DataView(segment.buffer, 10)
  const little = tiff.getUint16(0) === 0x4949
  const first = tiff.getUint32(4, little)
  const entries = tiff.getUint16(first, little)
  for (let at = first + 2, left = entries; left > 0; at += 12, left -= 1) {
    if (tiff.getUint16(at, little) === ORIENTATION) tiff.setUint16(at + 8, UPRIGHT, little)
  }
}
