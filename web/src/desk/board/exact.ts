// Decimals as text, added without floats.

interface Decimal {
  /** The value times ten to the power of `scale`. */
  digits: bigint
  scale: number
}

function read(text: string): Decimal {
  const [whole = '0', fraction = ''] = text.split('.')
  return { digits: BigInt(whole + fraction), scale: fraction.length }
}

/** The sum, with as many decimals as the longest of them. */
export function sum(decimals: string[]): string {
  const read_ = decimals.map(read)
  const scale = Math.max(0, ...read_.map((one) => one.scale))
  const total = read_.reduce((all, one) => all + one.digits * 10n ** BigInt(scale - one.scale), 0n)
  if (scale === 0) return total.toString()
  const sign = total < 0n ? '-' : ''
  const text = (total < 0n ? -total : total).toString().padStart(scale + 1, '0')
  const fraction = text.slice(-scale).replace(/0+$/, '')
  return `${sign}${text.slice(0, -scale)}${fraction && `.${fraction}`}`
}
