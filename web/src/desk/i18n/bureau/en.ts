import type zh from './zh'

const en: typeof zh = { title: '' }
export default en
