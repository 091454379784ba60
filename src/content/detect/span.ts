/** A place in a text: from `start` up to, not including, `end`. */
export type Span = readonly [start: number, end: number]

/** Finds all its places in a text, in order. Linear in the length of the text, whatever the text is. */
export type Finder = (text: string) => readonly Span[]

/**
 * A finder for a native expression that cannot backtrack far: bounded repeats of single classes, no nesting. `exec` on
 * the one expression, as `matchAll` copies it for every text.
 */
export function finderOf(expression: RegExp, isReal: (found: string) => boolean = () => true): Finder {
  return (text) => {
    expression.lastIndex = 0
    let match = expression.exec(text)
    if (match === null) return NOWHERE
    const spans: Span[] = []
    for (; match !== null; match = expression.exec(text)) {
      if (isReal(match[0])) spans.push([match.index, expression.lastIndex])
    }
    return spans
  }
}

/** What is found in most texts. */
export const NOWHERE: readonly Span[] = []
