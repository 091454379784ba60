/** A place in a text: from `start` up to, not including, `end`. */
export type Span = readonly [start: number, end: number]

/** Finds all its places in a text, in order. Linear in the length of the text, whatever the text is. */
export type Finder = (text: string) => readonly Span[]

/** A finder for a native expression that cannot backtrack far: bounded repeats of single classes, no nesting. */
export function finderOf(expression: RegExp, isReal: (found: string) => boolean = () => true): Finder {
  return (text) => {
    const spans: Span[] = []
    for (const match of text.matchAll(expression)) {
      if (isReal(match[0])) spans.push([match.index, match.index + match[0].length])
    }
    return spans
  }
}
