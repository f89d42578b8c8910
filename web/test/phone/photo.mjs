// Photos made for a scenario: drawn in the page, so that they are real JPEGs.

/** A JPEG of noise, which compresses badly, as a file for an input. */
export async function bigPhoto(page, width, height, quality = 0.8) {
  const data = await page.evaluate(
    async ([width, height, quality]) => {
      const canvas = new OffscreenCanvas(width, height)
      const context = canvas.getContext('2d')
      const image = context.createImageData(width, height)
      const words = new Uint32Array(image.data.buffer)
      let state = 2463534242
      for (let at = 0; at < words.length; at += 1) {
        state ^= state << 13
        state ^= state >>> 17
        state ^= state << 5
        words[at] = state | 0xff000000
      }
      context.putImageData(image, 0, 0)
      // Something to tell it by: dark on the left, light on the right.
      const shade = context.createLinearGradient(0, 0, width, 0)
      shade.addColorStop(0, 'rgba(0,0,0,0.8)')
      shade.addColorStop(1, 'rgba(255,255,255,0.8)')
      context.fillStyle = shade
      context.fillRect(0, 0, width, height)
      const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality })
      const bytes = new Uint8Array(await blob.arrayBuffer())
      let text = ''
      for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768))
      return btoa(text)
    },
    [width, height, quality],
  )
  return { name: 'photo.jpg', mimeType: 'image/jpeg', buffer: Buffer.from(data, 'base64') }
}

/** Puts an Exif segment into a JPEG: this orientation and the maker's name. */
export function withExif({ buffer, ...file }, orientation) {
  const maker = Buffer.from('DUXUE\0')
  const tiff = Buffer.alloc(8 + 2 + 2 * 12 + 4 + maker.length)
  tiff.write('MM')
  tiff.writeUInt16BE(42, 2)
  tiff.writeUInt32BE(8, 4)
  tiff.writeUInt16BE(2, 8)
  const entry = (at, tag, type, count) => {
    tiff.writeUInt16BE(tag, at)
    tiff.writeUInt16BE(type, at + 2)
    tiff.writeUInt32BE(count, at + 4)
  }
  entry(10, 0x010f, 2, maker.length)
  tiff.writeUInt32BE(tiff.length - maker.length, 18)
  entry(22, 0x0112, 3, 1)
  tiff.writeUInt16BE(orientation, 30)
  maker.copy(tiff, tiff.length - maker.length)
  const body = Buffer.concat([Buffer.from('Exif\0\0'), tiff])
  const head = Buffer.alloc(4)
  head.writeUInt16BE(0xffe1)
  head.writeUInt16BE(body.length + 2, 2)
  return { ...file, buffer: Buffer.concat([buffer.subarray(0, 2), head, body, buffer.subarray(2)]) }
}
