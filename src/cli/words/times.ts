import { parseDuration } from '#config'
import { UsageError } from '../failure.ts'

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** `3 min ago`, `in 2 h`, `now`; `never` for no time. */
export function relative(at: number | null, now: number): string {
  if (at === null) return 'never'
  const seconds = Math.round(Math.abs(at - now) / 1_000) * 1_000
  const unit = UNITS.find(([, size]) => seconds >= size)
  if (!unit) return 'now'
  const amount = `${Math.floor(seconds / unit[1])} ${unit[0]}`
  return at > now ? `in ${amount}` : `${amount} ago`
}

/** ` (next try in 4 s)`; a try whose time has come is under way. Nothing where none is planned. */
export function nextTry(at: number | null, now: number): string {
  if (at === null) return ''
  return at <= now ? ' (trying now)' : ` (next try ${relative(at, now)})`
}

/** `30d`, `12h` from now, or a date (ISO 8601), as milliseconds since 1970. */
export function parseExpiry(text: string, now: number): number {
  const at = parseTime(text, (duration) => now + duration)
  if (at === null || at <= now)
    throw new UsageError(`--expires ${quote(text)}: write a time to come, such as 30d, 12h or 2027-01-31.`)
  return at
}

/** `1h`, `7d` back from now, or a date (ISO 8601), as milliseconds since 1970. */
export function parseSince(text: string, now: number): number {
  const at = parseTime(text, (duration) => now - duration)
  if (at === null || at < 0)
    throw new UsageError(
      `--since ${quote(text)}: write how long ago (90s, 1h, 7d) or a date such as 2026-11-21T08:00Z.`,
    )
  return at
}

function parseTime(text: string, place: (duration: number) => number): number | null {
  const duration = parseDuration(text)
  if (duration !== undefined) return place(duration)
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? null : at
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 100))
