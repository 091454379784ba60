import type { Access, Thing } from './thing.ts'

/** What the policy needs to see of the rooms above it, to say what a rule means in this house. */
export type World = {
  gateways(): readonly { readonly slug: string; readonly access?: Access | undefined }[]
  /** All that a gateway shows; nothing for an unknown one. */
  things(gateway: string): readonly Thing[]
}
