import { RE2JS } from 're2js'
import { NOWHERE, type Finder, type Span } from './detect/span.ts'

/** A compiled expression: a finder, and how many steps its automaton has, which is what a character may cost. */
export type Pattern = { readonly find: Finder; readonly size: number }

/** `(a{1000}){1000}` is short to write. */
const MAX_SIZE = 2_000
const MAX_REPEAT = 1_000

/** Compiles an RE2 expression, which runs in linear time, or says in words why not. It never throws. */
export function compilePattern(source: string): Pattern | { readonly wrong: string } {
  try {
    const program = RE2JS.compile(source)
    const size = program.programSize()
    if (size > MAX_SIZE)
      return {
        wrong: `it is too large: ${size} steps, and ${MAX_SIZE} are allowed; repeat less (at most ${MAX_REPEAT} times)`,
      }
    if (program.matcher('').find()) return { wrong: 'it matches the empty text, so it would match everywhere' }
    return { find: (text) => findAll(program, text), size }
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read'
    return { wrong: `${why}. It is an RE2 expression: no back-references, no look-around` }
  }
}

function findAll(program: RE2JS, text: string): readonly Span[] {
  if (!program.test(text)) return NOWHERE
  const spans: Span[] = []
  const matcher = program.matcher(text)
  while (matcher.find()) if (matcher.end() > matcher.start()) spans.push([matcher.start(), matcher.end()])
  return spans
}
