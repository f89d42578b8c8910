// What page and worker say to each other.

import type { Holds } from './rescue'
import type { AddedPhoto } from './types'

export type ToWorker =
  /** This window wants the store; whichever has it hands it over. */
  | { ask: 'take_over' }
  | { ask: 'command'; id: number; json: string }
  | { ask: 'query'; id: number; json: string }
  | { ask: 'add_photo'; id: number; file: Blob; keepOriginal: boolean }
  | { ask: 'photo'; id: number; hash: string }
  | { ask: 'unnamed'; id: number }
  | { ask: 'discard'; id: number; hash: string }
  | { ask: 'rescue'; id: number; drafts: [form: string, text: string][] }
  | { ask: 'read_back'; id: number; file: Blob }

export type FromWorker =
  /** Another window holds the store, or took it over; this one waits for it. */
  | { say: 'waiting' }
  | { say: 'answer'; id: number; json?: string; problem?: string }
  | { say: 'photo_added'; id: number; photo: AddedPhoto }
  /** The photo that was asked for. */
  | { say: 'bytes'; id: number; bytes: Blob | undefined }
  | { say: 'rescued'; id: number; file: Blob; holds: Holds }
  | { say: 'notice'; json: string }
  | { say: 'broke'; reason: string }
