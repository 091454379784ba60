/** One policy of a text, with where it begins (1 is the first line). */
export type PolicyText = { readonly text: string; readonly line: number }

/**
 * The policies of a text in their order, the last of them whatever is left behind the last `;`. Cedar's own splitting
 * loses the places, and people need lines.
 */
export function splitPolicies(text: string): PolicyText[] {
  const found: PolicyText[] = []
  let start = 0
  for (const end of [...ends(text), text.length]) {
    found.push(placed(text, start, end))
    start = end
  }
  return found.filter((one) => one.text !== '')
}

function placed(text: string, start: number, end: number): PolicyText {
  const blank = /^(?:\s|\/\/[^\n\r]*)*/.exec(text.slice(start, end))?.[0].length ?? 0
  const from = start + blank
  return { text: text.slice(from, end), line: text.slice(0, from).split('\n').length }
}

/** Where each policy ends: after a `;` that is in no text and no comment. */
function* ends(text: string): Generator<number> {
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\[^])*"|\/\/[^\n\r]*|;/g)) {
    if (token === ';') yield index + 1
  }
}
