// Chinese first; English on a tap. The choice stays on the device.

import { Locale } from 'vant'
import enUS from 'vant/es/locale/lang/en-US'
import zhCN from 'vant/es/locale/lang/zh-CN'
import { createI18n } from 'vue-i18n'
import type { Problem, Text } from '../../core/types'
import en from './en'
import zh from './zh'

export type Language = 'zh' | 'en'

const KEY = 'duxue-language'
const stored: Language = localStorage.getItem(KEY) === 'en' ? 'en' : 'zh'

export const i18n = createI18n({ legacy: false, locale: stored, fallbackLocale: 'zh', messages: { zh, en } })

export function speak(language: Language): void {
  i18n.global.locale.value = language
  localStorage.setItem(KEY, language)
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
  if (language === 'zh') Locale.use('zh-CN', zhCN)
  else Locale.use('en-US', enUS)
}
speak(stored)

export function isChinese(): boolean {
  return i18n.global.locale.value === 'zh'
}

/** A text of the standard in the language of the moment. */
export function said(text: Text): string {
  return isChinese() ? text.zh : text.en
}

export function words(problem: Problem): string {
  const text = isChinese() ? problem.message_zh : problem.message_en
  return problem.detail ? `${text} (${problem.detail})` : text
}
