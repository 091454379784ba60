import { wildcard } from '#kernel'
import type { ContentRule } from './schema.ts'

/** What a message belongs to. */
export type Subject = {
  readonly gateway: string
  readonly server: { readonly name: string; readonly tags: readonly string[] }
  /** The tool's or prompt's original name, the resource's address; null where it is not known: any of the server. */
  readonly thing: string | null
  readonly user: { readonly userId: string; readonly groups: readonly string[] }
}

/** A matcher for `server/thing` patterns with `*`, `tag:NAME` and `*`; without patterns everything matches. */
export function toolScope(patterns: readonly string[]): (subject: Pick<Subject, 'server' | 'thing'>) => boolean {
  if (patterns.length === 0) return () => true
  const parts = patterns.map(compilePattern)
  return (subject) => parts.some((matches) => matches(subject))
}

/** True when a rule is meant for this user. */
export function isForUser(rule: Pick<ContentRule, 'users' | 'groups'>, user: Subject['user']): boolean {
  if (rule.users.length === 0 && rule.groups.length === 0) return true
  return rule.users.includes(user.userId) || user.groups.some((group) => rule.groups.includes(group))
}

function compilePattern(pattern: string): (subject: Pick<Subject, 'server' | 'thing'>) => boolean {
  if (pattern === '*') return () => true
  if (pattern.startsWith('tag:')) {
    const tag = pattern.slice('tag:'.length)
    return ({ server }) => server.tags.includes(tag)
  }
  const slash = pattern.indexOf('/')
  const isServer = wildcard(pattern.slice(0, slash))
  const isThing = wildcard(pattern.slice(slash + 1))
  return ({ server, thing }) => isServer(server.name) && (thing === null || isThing(thing))
}
