// Every screen but the first, in a file of its own: it is read when the first
// one is to be seen, before anybody asks for it.

export { default as Enrol } from './Enrol.vue'
export { default as Evidence } from './Evidence.vue'
export { default as ItemForm } from './ItemForm.vue'
export { default as School } from './School.vue'
export { default as Section } from './Section.vue'
export { default as Sync } from './Sync.vue'
