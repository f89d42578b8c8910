// Chinese first; English on a tap. The choice stays on the device. Each area
// has its words in a folder of its own, under the area's name: `review.title`.

import { createI18n } from 'vue-i18n'
import type { Problem, Text } from '../../core/types'
import adminEn from './admin/en'
import adminZh from './admin/zh'
import boardEn from './board/en'
import boardZh from './board/zh'
import bureauEn from './bureau/en'
import bureauZh from './bureau/zh'
import reviewEn from './review/en'
import reviewZh from './review/zh'
import shellEn from './shell/en'
import shellZh from './shell/zh'

export type Language = 'zh' | 'en'

const zh = { shell: shellZh, review: reviewZh, bureau: bureauZh, board: boardZh, admin: adminZh }
const en = { shell: shellEn, review: reviewEn, bureau: bureauEn, board: boardEn, admin: adminEn }

const KEY = 'duxue-language'
const stored: Language = localStorage.getItem(KEY) === 'en' ? 'en' : 'zh'

export const i18n = createI18n({ legacy: false, locale: stored, fallbackLocale: 'zh', messages: { zh, en } })

export function speak(language: Language): void {
  i18n.global.locale.value = language
  localStorage.setItem(KEY, language)
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
}
speak(stored)

/** Follows the language wherever it is read while rendering. */
export function isChinese(): boolean {
  return i18n.global.locale.value === 'zh'
}

/** A text of the server in the language of the moment. */
export function said(text: Text): string {
  return isChinese() ? text.zh : text.en
}

export function words(problem: Problem): string {
  const text = isChinese() ? problem.message_zh : problem.message_en
  return problem.detail ? `${text} (${problem.detail})` : text
}

/** A moment in the reader's own time zone; the server counts in milliseconds since 1970. */
export function moment(ms: number): string {
  const locale = isChinese() ? 'zh-CN' : 'en-GB'
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(ms)
}
