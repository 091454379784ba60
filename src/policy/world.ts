import type { Member } from '#identity'
import type { Access, Thing } from './thing.ts'

/** What the policy needs to see of the rooms above it, to say what a rule means in this house. */
export type World = {
  gateways(): readonly { readonly slug: string; readonly access?: Access | undefined }[]
  /** All that a gateway shows; nothing for an unknown one. */
  things(gateway: string): readonly Thing[]
  /** What a gateway shows under this name, or what its server calls `server/name`; null where there is no such thing. */
  find(gateway: string, wanted: { kind: Thing['kind']; name: string }): Thing | null
  /** Who that is, where the house knows them. */
  member(userId: string): Member | null
}
