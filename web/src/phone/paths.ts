// Entries as people call them, and where they are captured.

import type { Item, ItemKind, OpenPoint, Scalar, Section, Standard, Subject, SurveyView, Value } from '../core/types'
import { standing } from './forms'
import { said, t, te } from './i18n'
import type { Route } from './route'

type Conflict = Extract<OpenPoint, { point: 'conflict' }>

const KINDS: readonly string[] = ['classes', 'rooms', 'grounds', 'equipment']
/** The fields of an identity, in the order in which they are said. */
const ORDER = ['stage', 'grade', 'building', 'name', 'number', 'code', 'purpose', 'kind', 'room']

const word = (code: string): string => (te(`choice.${code}`) ? t(`choice.${code}`) : code)

/** An item's name: `艺术楼 · 007 · 音乐`. */
export const itemTitle = (item: Item | undefined): string => identityTitle(standing(item?.fields.identity))

/** The same from the value of its identity. */
export function identityTitle(value: Value | null): string {
  if (!value) return '—'
  return ORDER.filter((name) => value[name] !== undefined && value[name] !== '')
    .map((name) => word(String(value[name])))
    .join(' · ')
}

/** The item that an id is a member of: merged items are one. */
export function itemOf(survey: SurveyView, kind: string, id: string): Item | undefined {
  const items = survey.consolidated.items
  return items[`${kind}/${id}`] ?? Object.values(items).find((item) => item.kind === kind && item.members.includes(id))
}

/** A value in words: `长 9.2 · 宽 8`. */
export function valueTitle(value: Value): string {
  const one = ([name, scalar]: [string, Scalar]): string => {
    const said = typeof scalar === 'boolean' ? t(scalar ? 'answer.yes' : 'answer.no') : word(String(scalar))
    return name === 'value' || !te(`field.${name}`) ? said : `${t(`field.${name}`)} ${said}`
  }
  // What a removal saw is for the machine.
  return Object.entries(value).filter(([name]) => name !== 'saw').map(one).join(' · ')
}

/** An entry's name in words; `itemNamed` where the survey does not have its item. */
export function entryTitle(
  path: string,
  survey: SurveyView | null,
  standard: Standard | null,
  itemNamed = (kind: string, id: string): string => itemTitle(survey ? itemOf(survey, kind, id) : undefined),
): string {
  const [head = '', second = '', third = ''] = path.split('/')
  if (KINDS.includes(head)) {
    const field = te(`field.${third}`) ? t(`field.${third}`) : third
    return `${t(`section.${head}`)} · ${itemNamed(head, second)} · ${field}`
  }
  if (head === 'quantities') {
    const [id = '', part = ''] = second.split(':')
    const name = standard?.quantities[id]?.name
    return `${name ? said(name) : id} · ${te(`part.${part}`) ? t(`part.${part}`) : part}`
  }
  if (head === 'answers') {
    const question = standard?.questions.find(({ id }) => id === second)
    return `${t('section.checklist')} · ${question ? said(question.name) : second}`
  }
  if (head === 'sections') return `${t(`section.${second}`)} · ${t('mark.complete')}`
  if (head === 'evidence') return t('item.photo')
  return path
}

/** What an open conflict is about, in words. */
export function conflictTitle(point: Conflict, survey: SurveyView, standard: Standard | null): string {
  const about = point.conflict.subject
  if (about.kind === 'entry') return entryTitle(about.path, survey, standard)
  const [kind = '', ...ids] = about.kind === 'removal' ? about.item.split('/') : [about.duplicate.kind, ...about.duplicate.items]
  return `${t(`section.${kind}`)} · ${ids.map((id) => itemTitle(itemOf(survey, kind, id))).join(' / ')}`
}

/** Where it can be seen. */
export function conflictPlace(point: Conflict, subject: Subject): Route {
  const about = point.conflict.subject
  if (about.kind === 'entry') return placeOf(about.path, subject)
  if (about.kind === 'removal') return placeOf(about.item, subject)
  return { at: 'section', subject, section: about.duplicate.kind }
}

/** Where an entry is captured. */
export function placeOf(path: string, subject: Subject): Route {
  const [head, item] = path.split('/')
  if (!item) return { at: 'school', subject }
  if (head === 'quantities') return { at: 'section', subject, section: 'quantities', row: item }
  if (head === 'answers') return { at: 'section', subject, section: 'checklist', row: item }
  if (head === 'sections') return { at: 'section', subject, section: item as Section }
  if (head === 'evidence') return { at: 'evidence', subject }
  if (head && KINDS.includes(head)) return { at: 'item', subject, kind: head as ItemKind, item }
  return { at: 'school', subject }
}
