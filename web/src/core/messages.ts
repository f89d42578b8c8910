// What page and worker say to each other.

import type { AddedPhoto } from './types'

export type ToWorker =
  | { ask: 'command'; id: number; json: string }
  | { ask: 'query'; id: number; json: string }
  | { ask: 'add_photo'; id: number; file: Blob; keepOriginal: boolean }
  | { ask: 'photo'; id: number; hash: string }
  | { ask: 'rescue'; id: number }
  | { ask: 'read_back'; id: number; file: Blob }

export type FromWorker =
  /** Another window holds the store; this one waits for it. */
  | { say: 'waiting' }
  | { say: 'answer'; id: number; json?: string; problem?: string }
  | { say: 'photo_added'; id: number; photo: AddedPhoto }
  /** The bytes that were asked for: a photo, or the rescue file. */
  | { say: 'bytes'; id: number; bytes: Blob | undefined }
  | { say: 'notice'; json: string }
  | { say: 'broke'; reason: string }
