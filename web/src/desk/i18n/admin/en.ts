import type zh from './zh'

const en: typeof zh = { title: 'Administration' }
export default en
