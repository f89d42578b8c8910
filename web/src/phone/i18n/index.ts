// Chinese first; English on a tap. The choice stays on the device. The texts
// are plain: a key, and words in braces. A library that also compiles plurals
// and dates costs the phone more bytes than both languages together.

import { ref } from 'vue'
import type { Problem, Text, Warning } from '../../core/types'
import en from './en'
import zh from './zh'

export type Language = 'zh' | 'en'

type Tree = { [key: string]: string | Tree }

const KEY = 'duxue-language'
const TEXTS: Record<Language, Tree> = { zh, en }

const language = ref<Language>(localStorage.getItem(KEY) === 'en' ? 'en' : 'zh')

export function speak(wanted: Language): void {
  language.value = wanted
  localStorage.setItem(KEY, wanted)
  document.documentElement.lang = wanted === 'zh' ? 'zh-CN' : 'en'
  document.title = t('app_title')
}

function find(key: string): string | undefined {
  let found: string | Tree | undefined = TEXTS[language.value]
  for (const part of key.split('.')) found = typeof found === 'object' ? found[part] : undefined
  return typeof found === 'string' ? found : undefined
}

/** Whether there is a text for a key. */
export function te(key: string): boolean {
  return find(key) !== undefined
}

/** The text for a key in the language of the moment, with words for what is in braces. */
export function t(key: string, words: Record<string, string | number> = {}): string {
  return (find(key) ?? key).replace(/\{(\w+)\}/g, (whole, name: string) => String(words[name] ?? whole))
}

export function isChinese(): boolean {
  return language.value === 'zh'
}

/** A text of the standard in the language of the moment. */
export function said(text: Text): string {
  return isChinese() ? text.zh : text.en
}

/** A problem in words. What the core says of its command line is said of the app here. */
export function words(problem: Problem): string {
  const own = `problem.${problem.code}`
  if (te(own)) return t(own)
  const text = isChinese() ? problem.message_zh : problem.message_en
  return problem.detail ? `${text} (${problem.detail})` : text
}

/** A warning in words: which value, and what is usual. */
export function warned({ path, problem, unusual }: Warning): string {
  if (!unusual) return words(problem)
  const field = [unusual.field, path.split('/').at(-1)].map((word) => `field.${word}`).find(te)
  const what = field ? `${t(field)} ${unusual.found}` : unusual.found
  return t('unlikely', { what, usual: `${unusual.low}–${unusual.high}` })
}

/** A time of today, in the language of the moment. */
export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString(isChinese() ? 'zh-CN' : 'en')
}

/** A moment, in the language of the moment. */
export function moment(ms: number): string {
  return new Date(ms).toLocaleString(isChinese() ? 'zh-CN' : 'en', { dateStyle: 'medium', timeStyle: 'short' })
}

speak(language.value)
