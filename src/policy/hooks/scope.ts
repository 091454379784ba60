import { wildcard } from '#kernel'
import type { HookConfig } from './schema.ts'

/** A tool as a scope looks at it: `name` is the server's own. */
export type HookedTool = {
  readonly gateway: string
  readonly server: string
  readonly tags: readonly string[]
  readonly name: string
}

export type HookScope = (tool: HookedTool) => boolean

/** Which tools a hook is for; without gateways and patterns, all. */
export function hookScope({ gateways, tools }: Pick<HookConfig, 'gateways' | 'tools'>): HookScope {
  const patterns = tools.map(compilePattern)
  return (tool) =>
    (gateways.length === 0 || gateways.includes(tool.gateway)) &&
    (patterns.length === 0 || patterns.some((matches) => matches(tool)))
}

function compilePattern(pattern: string): HookScope {
  if (pattern === '*') return () => true
  if (pattern.startsWith('tag:')) {
    const tag = pattern.slice('tag:'.length)
    return ({ tags }) => tags.includes(tag)
  }
  const slash = pattern.indexOf('/')
  const isServer = wildcard(pattern.slice(0, slash))
  const isTool = wildcard(pattern.slice(slash + 1))
  return ({ server, name }) => isServer(server) && isTool(name)
}
