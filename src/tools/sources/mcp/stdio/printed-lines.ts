import type { Clock } from '#kernel'
import type { Redactor } from './redactor.ts'

/** Text that a child printed on its own account: shortened, free of secrets, and never more than a trickle of it. */
export type PrintedLines = {
  /** The bytes of a line, or the first of them, and how many it has. */
  print(bytes: Buffer, length?: number): void
  /** What was said about the end, in few words: the line that names an error, otherwise the last lines. */
  tail(): string
}

const MAX_LINE = 500
const PER_SECOND = 20
const BURST = 100
const REMEMBERED_LINES = 20
const TAIL_LINES = 3
const MAX_KEY_LINES = 200

/** A stack trace tells a person little; the line above it tells why. */
const NAMES_AN_ERROR = /\b(?:\w*error|exception|fatal|panic)\b\W/i

type Printed = { readonly text: string; readonly cut: boolean; readonly bytes: number }

/**
 * `write` gets each line that may be shown, and how many before it were not. Only what is shown is redacted: a child
 * that prints without end costs little more than reading it.
 */
export function createPrintedLines(deps: {
  clock: Clock
  redact: Redactor
  write(line: string, leftOut: number): void
}): PrintedLines {
  const last: Printed[] = []
  const bucket = createBucket(deps.clock)
  const isInKey = createKeyWatch()
  let leftOut = 0
  const show = ({ text, cut, bytes }: Printed): string =>
    shorten(deps.redact(text, { cut }), cut ? `${bytes} bytes` : undefined)
  return {
    print(bytes, length = bytes.length) {
      const text = bytes.toString('utf8').trimEnd()
      if (text === '' || isInKey(text)) return
      const printed = { text, cut: length > bytes.length, bytes: length }
      last.push(printed)
      if (last.length > REMEMBERED_LINES) last.shift()
      if (!bucket.take()) return void leftOut++
      deps.write(show(printed), leftOut)
      leftOut = 0
    },
    tail: () => {
      const shown = last.map(show)
      return shown.find((line) => NAMES_AN_ERROR.test(line)) ?? shown.slice(-TAIL_LINES).join('\n')
    },
  }
}

/** A private key is printed over many lines, of which all but the first look like any text (RFC 7468). */
function createKeyWatch(): (line: string) => boolean {
  let left = 0
  return (line) => {
    if (left > 0) {
      left = line.includes('-----END') ? 0 : left - 1
      return true
    }
    const begins = line.lastIndexOf('-----BEGIN')
    if (begins >= 0 && line.includes('PRIVATE KEY', begins) && !line.includes('-----END', begins)) left = MAX_KEY_LINES
    return false
  }
}

function createBucket(clock: Clock): { take(): boolean } {
  let tokens = BURST
  let filledAt = clock.now()
  return {
    take() {
      const now = clock.now()
      tokens = Math.min(BURST, tokens + (Math.max(0, now - filledAt) / 1000) * PER_SECOND)
      filledAt = now
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  }
}

function shorten(text: string, whole = `${text.length} characters`): string {
  if (text.length > MAX_LINE) return `${text.slice(0, MAX_LINE)}… (${whole})`
  return whole.endsWith('bytes') ? `${text}… (${whole})` : text
}
