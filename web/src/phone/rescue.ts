// The rescue file as a download.

import { showToast } from 'vant'
import 'vant/es/toast/style'
import type { Holds } from '../core/rescue'
import { draftRecords } from './draft'
import { STORE } from './engine'
import { t } from './i18n'
import { core, state } from './state'

/** What a file holds, in words. */
function told({ changes, drafts, photos, unnamed }: Holds): string {
  const some = t(changes === null ? 'rescue.holds_some' : 'rescue.holds', { changes: changes ?? 0, drafts, photos })
  return unnamed > 0 ? `${some}${t('rescue.holds_unnamed', { unnamed })}` : some
}

function hand(file: Blob, holds: Holds): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = `duxue-${state.status?.person ?? ''}-${new Date().toISOString().slice(0, 16).replace(/\D/g, '')}.duxue`
  link.click()
  // The download has begun with the click; the address is not needed again.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  showToast(`${t('rescue.saved')}\n${told(holds)}`)
}

export async function rescue(): Promise<void> {
  const { file, holds } = await core.rescue(draftRecords())
  hand(file, holds)
}

/** The same without the engine, which may be what is broken. */
export async function rescueBroken(): Promise<void> {
  const { salvage } = await import('../core/salvage')
  const { file, holds } = await salvage(STORE, draftRecords())
  hand(file, holds)
}
