// Shortcuts of a page: single keys that work wherever nothing is being typed.

import { onMounted, onUnmounted } from 'vue'

export function useKeys(keys: () => Record<string, () => void>): void {
  const pressed = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    const target = event.target as HTMLElement | null
    if (target?.closest('input:not([type=checkbox]), textarea, select, dialog, [contenteditable=true]')) return
    // A button or link that has the focus keeps its own keys.
    if ((event.key === 'Enter' || event.key === ' ') && target?.closest('button, a, input')) return
    const action = keys()[event.key]
    if (!action) return
    event.preventDefault()
    action()
  }
  onMounted(() => document.addEventListener('keydown', pressed))
  onUnmounted(() => document.removeEventListener('keydown', pressed))
}
