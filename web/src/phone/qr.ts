// Reads a QR code from a picture: by the browser where it can, else by a
// library that is loaded only then.

interface Detector {
  detect(image: ImageBitmapSource): Promise<{ rawValue: string }[]>
}
interface DetectorClass {
  new (options: { formats: string[] }): Detector
  getSupportedFormats(): Promise<string[]>
}

/** Pixels; more only costs time. */
const LONG_SIDE_MOST = 960

/** The text of the code in a picture, or null where none is found. */
export type Reader = (image: ImageBitmap) => Promise<string | null>

export async function qrReader(): Promise<Reader> {
  const detector = (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector
  if (detector && (await detector.getSupportedFormats()).includes('qr_code')) {
    const own = new detector({ formats: ['qr_code'] })
    return async (image) => (await own.detect(image))[0]?.rawValue ?? null
  }
  const { default: decode } = await import('qr/decode.js')
  return (image) => {
    try {
      return Promise.resolve(decode(pixels(image)))
    } catch {
      // The library's way to say that there is none.
      return Promise.resolve(null)
    }
  }
}

function pixels(image: ImageBitmap): ImageData {
  const by = Math.min(1, LONG_SIDE_MOST / Math.max(image.width, image.height))
  const [width, height] = [Math.round(image.width * by), Math.round(image.height * by)]
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })
  if (!context) throw new Error('no canvas')
  context.fillStyle = '#fff'
  context.fillRect(0, 0, width, height)
  context.drawImage(image, 0, 0, width, height)
  return context.getImageData(0, 0, width, height)
}

/** The enrolment code in a scanned text: a link's last part, or the text itself. */
export function codeIn(text: string): string {
  const found = /#\/enrol\/([^/?#]+)/.exec(text)
  return found?.[1] ? decodeURIComponent(found[1]) : text.trim()
}

/** The server of a scanned link, where it is another than the app's own. */
export function otherServer(text: string): string | null {
  const origin = URL.canParse(text) ? new URL(text).origin : null
  return origin !== null && origin.startsWith('http') && origin !== location.origin ? origin : null
}
