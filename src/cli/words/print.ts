import type { Terminal } from '../terminal.ts'

/** One JSON document, indented. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(`${JSON.stringify(value, null, 2)}\n`)
}

/** The value as JSON where that was asked for, or else in words. */
export function printEither(
  terminal: Terminal,
  options: { json?: true },
  value: { readonly json: unknown; readonly text: string },
): void {
  if (options.json) printJson(terminal, value.json)
  else terminal.out(value.text)
}

/** `1 tool`, `3 tools`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`
}
