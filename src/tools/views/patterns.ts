import { wildcard } from '#kernel'

/** Which things of which servers a gateway picks: `server/name` with `*`, `tag:NAME`, or `*` for all. */
export type Pick = {
  matches(server: { name: string; tags: readonly string[] }, thing: string): boolean
  /** True when the server is picked whole, so its resources and prompts come along. */
  takesWhole(server: { name: string; tags: readonly string[] }): boolean
  /** Where the server first appears among the patterns; decides who gets a bare name first. */
  rank(server: { name: string; tags: readonly string[] }): number
}

type Server = { name: string; tags: readonly string[] }

/** Compiles patterns; matching is a loop over pre-built linear expressions (only `.*` and literals, so no blow-up). */
export function compilePick(patterns: readonly string[]): Pick {
  const parts = patterns.map(compilePattern)
  return {
    matches: (server, thing) => parts.some((part) => part.server(server) && part.thing(thing)),
    takesWhole: (server) => parts.some((part) => part.whole && part.server(server)),
    rank(server) {
      const index = parts.findIndex((part) => part.server(server))
      return index < 0 ? parts.length : index
    },
  }
}

type CompiledPattern = { server(server: Server): boolean; thing(name: string): boolean; whole: boolean }

function compilePattern(pattern: string): CompiledPattern {
  if (pattern === '*') return { server: () => true, thing: () => true, whole: true }
  if (pattern.startsWith('tag:')) {
    const tag = pattern.slice('tag:'.length)
    return { server: (server) => server.tags.includes(tag), thing: () => true, whole: true }
  }
  const slash = pattern.indexOf('/')
  const serverMatches = wildcard(pattern.slice(0, slash))
  const rest = pattern.slice(slash + 1)
  return { server: (server) => serverMatches(server.name), thing: wildcard(rest), whole: rest === '*' }
}
