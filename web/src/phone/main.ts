// First, before the app's own parts.
import './engine'
import { createApp } from 'vue'
import App from './App.vue'
import { begin, state } from './state'
import './theme.css'

const app = createApp(App)
/** A mistake of ours in one screen leaves the others as they are. */
function mistaken(error: unknown): void {
  console.error(error)
  state.trouble = {
    code: 'client.screen',
    message_zh: '界面出错；已保存的内容都在本机',
    message_en: 'a screen failed; what was saved is on this device',
    detail: String(error),
  }
}
app.config.errorHandler = mistaken
addEventListener('unhandledrejection', (event) => mistaken(event.reason))
begin()
app.mount('#app')
