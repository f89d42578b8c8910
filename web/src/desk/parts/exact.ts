// Decimals as text, added and compared without floats.

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

/** A fraction with a denominator above zero. */
interface Ratio {
  over: bigint
  under: bigint
}

/** What a text says where the whole of it is a number, a fraction or a range. */
interface Amount {
  low: Ratio
  /** Null where nothing bounds it above. */
  high: Ratio | null
}

const NUMBER = String.raw`[-−]?\d+(?:\.\d+)?(?:\s*/\s*\d+)?`
const AMOUNT = new RegExp(String.raw`^\s*(≥|>=)?\s*(${NUMBER})(?:\s*–\s*(${NUMBER}))?\s*%?\s*$`)

function ratio(text: string): Ratio | null {
  const [first = '', second] = text.replace('−', '-').replace(/\s/g, '').split('/')
  const { digits, scale } = read(first)
  const under = 10n ** BigInt(scale) * BigInt(second ?? 1)
  return under === 0n ? null : { over: digits, under }
}

/** `96.25`, `7/8`, `12–15`, `≥3`, `85 %`; null for anything else. */
function amount(text: string): Amount | null {
  const [, least, first, second] = AMOUNT.exec(text) ?? []
  const low = first === undefined ? null : ratio(first)
  const high = second === undefined ? low : ratio(second)
  return low && high && { low, high: least === undefined ? high : null }
}

function compareRatios(a: Ratio, b: Ratio): number {
  const difference = a.over * b.under - b.over * a.under
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

function compareAmounts(a: Amount, b: Amount): number {
  const low = compareRatios(a.low, b.low)
  if (low !== 0 || a.high === b.high) return low
  if (a.high === null || b.high === null) return a.high === null ? 1 : -1
  return compareRatios(a.high, b.high)
}

/** An order of texts that has numbers by what they are, exactly: ranges by where
 * they begin, then by where they end. Numbers come before other texts, which are
 * in the order of the collator. */
export function compareTexts(collator: Intl.Collator): (a: string, b: string) => number {
  const known = new Map<string, Amount | null>()
  const amountOf = (text: string): Amount | null => {
    const found = known.get(text) ?? amount(text)
    known.set(text, found)
    return found
  }
  return (a, b) => {
    const [left, right] = [amountOf(a), amountOf(b)]
    if (left && right) return compareAmounts(left, right)
    return Number(left === null) - Number(right === null) || collator.compare(a, b)
  }
}

/** The lowest and highest of decimals. */
export function extremes(decimals: string[]): [low: string, high: string] | null {
  const compare = compareTexts(new Intl.Collator('en'))
  const sorted = [...decimals].sort(compare)
  return sorted[0] === undefined ? null : [sorted[0], sorted.at(-1) ?? sorted[0]]
}
