import type { KeyObject } from 'node:crypto'
import * as z from 'zod'

/** One signing key of the house. ES256 signs access tokens, RS256 what older OpenID clients insist on. */
export type SigningKey = { readonly kid: string; readonly alg: 'ES256' | 'RS256'; readonly privateKey: KeyObject }

export const ALGORITHMS = ['ES256', 'RS256'] as const

/** When a key signs follows from the times of all keys of its algorithm: each signs until the one after it does. */
export type Timed = {
  readonly kid: string
  readonly alg: SigningKey['alg']
  /** Its place in the order of keys of its algorithm. */
  readonly number: number
  readonly createdAt: number
  readonly signsAt: number
}

const time = z.int().meta({ description: 'Milliseconds since 1970.' })

export const shownKey = z
  .object({
    kid: z.string(),
    alg: z.enum(ALGORITHMS),
    state: z.enum(['next', 'signing', 'retired']).meta({
      description: 'next: published, signs later; retired: signs no more, its tokens count until they end.',
    }),
    createdAt: time,
    signsAt: time,
    goneAt: time.nullable().meta({ description: 'When a retired key is removed.' }),
  })
  .meta({ id: 'SigningKey' })
export type ShownKey = z.output<typeof shownKey>

export const rotateRequest = z.strictObject({
  now: z.boolean().default(false).meta({
    description: 'The new keys sign at once, without having been published before.',
  }),
  dropOld: z.boolean().default(false).meta({
    description: 'All other keys are removed at once, and with them all tokens that they signed. Implies `now`.',
  }),
})
export type RotateRequest = z.output<typeof rotateRequest>
