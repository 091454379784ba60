/** Rewrites JSON log lines as short ones for a person at a terminal: time, level, message, fields. */
export function humanLines(to: { write(line: string): void }): { write(line: string): void } {
  return { write: (line) => to.write(humanLine(line)) }
}

/** One JSON log line as one short line. What is not such a line passes unchanged. */
export function humanLine(line: string): string {
  const fields = parseLine(line)
  if (!fields) return line
  const { time, level, msg, ...rest } = fields
  const clock = typeof time === 'string' ? time.slice(11, 23) : ''
  const text = typeof msg === 'string' ? printable(msg) : ''
  const said = Object.entries(rest).filter(([, value]) => value !== '' && value !== null)
  const members = said.map(([name, value]) => `${DIM}${printable(name)}=${OFF}${short(value)}`)
  return `${[`${DIM}${clock}${OFF}`, coloured(String(level)), text, ...members].filter((part) => part !== '').join(' ')}\n`
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(line)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined
  } catch {
    return undefined
  }
}

function short(value: unknown): string {
  if (typeof value === 'string' && /^[\w.:/@+-]+$/.test(value)) return value
  const text = printable(JSON.stringify(value))
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text
}

/** Control characters could move the cursor or forge a second line, so they are shown by number. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function coloured(level: string): string {
  return `${COLOURS[level] ?? ''}${printable(level).toUpperCase().padEnd(5)}${OFF}`
}

const MAX_VALUE = 2_000
const DIM = '\u001B[2m'
const OFF = '\u001B[0m'
const COLOURS: Readonly<Record<string, string>> = {
  debug: '\u001B[90m',
  info: '\u001B[32m',
  warn: '\u001B[33m',
  error: '\u001B[31m',
}
