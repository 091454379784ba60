import type { JsonObject } from '#kernel'
import type { VersionedRule } from './schema.ts'
import type { Message, Screened } from './screen.ts'

/** A message and the rules for it, by their places in the order of all. `bytes` stands for `value`, not yet parsed. */
export type Look = {
  readonly kind: Message['kind']
  readonly value?: JsonObject
  readonly bytes?: Uint8Array
  readonly schema?: JsonObject | undefined
  readonly ranks: readonly number[]
  readonly userId: string
}

export type Order =
  | { readonly kind: 'rules'; readonly rules: readonly VersionedRule[] }
  | { readonly kind: 'look'; readonly number: number; readonly look: Look }

export type Answer =
  | { readonly number: number; readonly screened: Screened }
  /** Not what was wrong: it may quote the message. */
  | { readonly number: number; readonly failed: true }
