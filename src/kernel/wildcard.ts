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
