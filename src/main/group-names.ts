import type { Content } from '#content'
import type { NamesOfGroups } from '#identity'
import { wildcard } from '#kernel'
import type { LoginPolicy } from '#login'

/** Everything in the house that goes by the names of groups, as one: asked before a group is renamed. */
export function namesOfGroups(rooms: {
  readonly policy: NamesOfGroups
  readonly content: Pick<Content, 'listRules'>
  readonly loginPolicy: Pick<LoginPolicy, 'list'>
  readonly approvers: readonly string[]
}): NamesOfGroups {
  const { policy, content, loginPolicy, approvers } = rooms
  return {
    ...policy,
    objections: (rename) => {
      const names = [rename.from, rename.to]
      const isNamed = (groups: readonly string[]): boolean => names.some((name) => groups.includes(name))
      const login = loginPolicy.list().rules.filter(({ groups = [] }) =>
        // Who was met before and after alike is no other.
        groups.map(wildcard).some((fits) => fits(rename.from) !== fits(rename.to)),
      )
      return [
        ...policy.objections(rename),
        ...content.listRules().flatMap(({ name, groups }) => (isNamed(groups) ? [`content rule ${name}`] : [])),
        ...login.map(({ id }) => `login rule ${id}`),
        ...(isNamed(approvers) ? ['approvals.groups of the configuration'] : []),
      ]
    },
  }
}
