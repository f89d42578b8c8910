// What page and worker say to each other.

import type { NewPhoto } from './types'

export type ToWorker =
  | { ask: 'command'; id: number; json: string }
  | { ask: 'query'; id: number; json: string }
  | { ask: 'add_photo'; id: number; file: Blob }
  | { ask: 'photo'; id: number; hash: string }

export type FromWorker =
  /** Another window holds the store; this one waits for it. */
  | { say: 'waiting' }
  | { say: 'answer'; id: number; json?: string; problem?: string }
  | { say: 'photo_added'; id: number; photo: NewPhoto }
  | { say: 'photo'; id: number; bytes: Blob | undefined }
  | { say: 'notice'; json: string }
  | { say: 'broke'; reason: string }
