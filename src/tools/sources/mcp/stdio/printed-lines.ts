import type { Clock } from '#kernel'

/** Text that a child printed on its own account: shortened, free of secrets, and never more than a trickle of it. */
export type PrintedLines = {
  print(line: string): void
  /** What was said about the end, in few words: the line that names an error, otherwise the last lines. */
  tail(): string
}

const MAX_LINE = 500
const PER_SECOND = 20
const BURST = 100
const REMEMBERED_LINES = 20
const TAIL_LINES = 3

/** A stack trace tells a person little; the line above it tells why. */
const NAMES_AN_ERROR = /\b(?:\w*error|exception|fatal|panic)\b\W/i

/** `write` gets each line that may be shown, and how many before it were not. */
export function createPrintedLines(deps: {
  clock: Clock
  redact(text: string): string
  write(line: string, leftOut: number): void
}): PrintedLines {
  const last: string[] = []
  const bucket = createBucket(deps.clock)
  let leftOut = 0
  return {
    print(line) {
      const text = shorten(deps.redact(line.trimEnd()))
      if (text === '') return
      last.push(text)
      if (last.length > REMEMBERED_LINES) last.shift()
      if (!bucket.take()) return void leftOut++
      deps.write(text, leftOut)
      leftOut = 0
    },
    tail: () => last.find((line) => NAMES_AN_ERROR.test(line)) ?? last.slice(-TAIL_LINES).join('\n'),
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

function shorten(text: string): string {
  return text.length <= MAX_LINE ? text : `${text.slice(0, MAX_LINE)}… (${text.length} characters)`
}
