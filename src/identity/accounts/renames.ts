import { Problem } from '#kernel'
import type { SharedTransaction } from '#storage'
import { GROUP_NAMED } from '../problems.ts'

export type GroupRename = { readonly from: string; readonly to: string }

/**
 * What gives rights to groups, and knows them by their names. The rooms above say so, as this one knows none of them:
 * a rename must neither take away nor give what nobody decided on.
 */
export type NamesOfGroups = {
  /** What would mean somebody else after the rename and cannot follow it, in words for people. */
  objections(rename: GroupRename): readonly string[]
  /** What is kept under the old name is kept under the new one from now on, by the transaction of the rename. */
  follow(tx: SharedTransaction, rename: GroupRename): Promise<void>
  /** Tells every replica, once it is stored. */
  announce(): Promise<void>
}

/** Until somebody says otherwise no names are used. */
export const NOBODY_NAMES: NamesOfGroups = {
  objections: () => [],
  follow: async () => {},
  announce: async () => {},
}

/** Throws a Problem that says what stands in the way. */
export function refuseNamed(names: NamesOfGroups, rename: GroupRename): void {
  const objections = names.objections(rename)
  if (objections.length === 0) return
  const shown = objections.slice(0, 10).join(', ')
  const what = `The group "${rename.from}" cannot become "${rename.to}", because rules go by these names: ${shown}.`
  throw new Problem(GROUP_NAMED, `${what} An administrator of Gatehouse has to change these first.`)
}
