import type { Member } from '#identity'
import type { JsonObject } from '#kernel'
import type { Access, Thing } from './thing.ts'

/** What the policy needs to see of the rooms above it, to say what a rule means in this house. */
export type World = {
  gateways(): readonly { readonly slug: string; readonly access?: Access | undefined }[]
  /** All that a gateway shows; nothing for an unknown one. */
  things(gateway: string): readonly Thing[]
  /** What a gateway shows under this name, or what its server calls `server/name`; null where there is no such thing. */
  find(gateway: string, wanted: { kind: Thing['kind']; name: string }): Found | null
  /** Who that is, where the house knows them. */
  member(userId: string): Member | null
  /** All accounts. */
  members(): readonly Member[]
  /** What would become of a call of this thing on its way to the server, up to the hooks. Nothing is sent or recorded. */
  rehearse(call: PlannedCall): Promise<Rehearsal>
}

export type Found = {
  /** What it is, most exactly. */
  readonly thing: Thing
} & AskedAbout

/** All that the policy is asked about one thing: an address that fits a template is both. */
export type AskedAbout = {
  /** None may be forbidden, and one has to be allowed. */
  readonly things: readonly Thing[]
  /** Tools that show this as their page: who may call one may read it. */
  readonly pages?: readonly Thing[]
}

export type PlannedCall = {
  readonly thing: Thing
  readonly user: { readonly userId: string; readonly groups: readonly string[] }
  /** What the caller would send; without, only what holds whatever they send is told. */
  readonly args?: JsonObject | undefined
}

export type Rehearsal = {
  /** What rules in Cedar look at: with what the gateway pins or defaults. */
  readonly args: JsonObject | undefined
  /** What hooks would be shown: what the content rules let pass of it, as the caller may send it. */
  readonly inputs: JsonObject
  /** Content rules that found something. */
  readonly content: readonly { readonly rule: string; readonly effect: string; readonly found: number }[]
  /** Why the call would be refused by now. */
  readonly stopped: Stop | null
  /** Who but a rule in Cedar wants a person to approve it first. */
  readonly approval: Stop | null
  /** Names of the secrets that its server gets. */
  readonly secrets: readonly string[]
}

export type Stop = { readonly id: string; readonly words: string }
