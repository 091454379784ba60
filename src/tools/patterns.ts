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

/** A matcher for text with `*`. */
export function wildcard(pattern: string): (text: string) => boolean {
  return matchSegments(pattern.split('*'))
}

/** A matcher for these pieces with any text between them: greedy from the left, so its cost is linear in the text. */
export function matchSegments(segments: readonly string[]): (text: string) => boolean {
  const first = segments[0] ?? ''
  const last = segments.at(-1) ?? ''
  if (segments.length === 1) return (text) => text === first
  const middle = segments.slice(1, -1).filter((segment) => segment.length > 0)
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    const end = text.length - last.length
    let at = first.length
    for (const segment of middle) {
      const found = text.indexOf(segment, at)
      if (found < 0 || found + segment.length > end) return false
      at = found + segment.length
    }
    return true
  }
}
