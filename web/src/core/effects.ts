// What the engine asks for: the objects that client-core/wasm makes.

export type Effect =
  | { effect: 'load'; id: bigint; prefix: string }
  | { effect: 'write'; id: bigint; puts: [string, Uint8Array][]; deletes: string[] }
  | { effect: 'connect'; link: bigint; url: string }
  | { effect: 'send'; link: bigint; bytes: Uint8Array<ArrayBuffer> }
  | { effect: 'close'; link: bigint }
  | HttpEffect
  | { effect: 'timer'; at_ms: bigint }
  | { effect: 'free_photo'; photo: string }
  | { effect: 'reply'; id: bigint; reply?: string; problem?: string }
  | { effect: 'notice'; notice: string }

export interface HttpEffect {
  effect: 'http'
  id: bigint
  method: string
  url: string
  headers: [string, string][]
  json?: string
  /** The body is a part of this stored photo. */
  photo?: string
  offset?: bigint
  length?: bigint
}
