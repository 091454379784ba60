/** Grants and rules name groups by their names; what becomes of them when a group gets another one. */
import type { NamesOfGroups } from '#identity'
import { uidText } from '../cedar/subject.ts'
import type { LivePolicy } from '../live.ts'
import type { PolicyStore } from '../store.ts'

/**
 * Grants follow their group. Rules cannot, as they are texts: a forbid would end, or a permit, without anybody saying so.
 * A grant that waits for a group of the new name would be given to whoever renames, so it stands in the way as well.
 */
export function createGroupNames({ live, store }: { live: LivePolicy; store: PolicyStore }): NamesOfGroups {
  return {
    objections: ({ from, to }) => {
      const uids = [from, to].map((id) => uidText({ type: 'Group', id }))
      const rules = live.rules.filter(({ look }) => uids.some((uid) => look.subjects.has(uid)))
      const waiting = live.current.grants.filter(({ subject: { kind, id } }) => kind === 'group' && id === to)
      return [...rules.map(({ id }) => `policy ${id}`), ...waiting.map(({ id }) => `grant ${id}`)]
    },
    follow: (tx, rename) => store.renameGroup(tx, rename),
    announce: () => live.announce(),
  }
}
