import * as z from 'zod'
import { Secret } from '#kernel'
import { parseByteSize, parseDuration, parseHostPort, type HostPort } from './units.ts'

export type { HostPort }

/** A duration in milliseconds, written "30d", "90s" or "500ms". */
export function duration() {
  return written(parseDuration, 'must be a duration such as "30d", "90s" or "500ms" (units: ms, s, m, h, d, w)')
}

/** A number of bytes, written "512KiB", "4MiB" or "1GB". */
export function byteSize() {
  return written(
    parseByteSize,
    'must be a size such as "512KiB", "4MiB" or "1GB" (units: B, kB, MB, GB, KiB, MiB, GiB)',
  )
}

/** A listening address, written "127.0.0.1:8600", "localhost:0" or "[::1]:8600". */
export function hostPort() {
  return written(parseHostPort, 'must be HOST:PORT such as "127.0.0.1:8600" or "[::1]:8600", with a port up to 65535')
}

/** A text that is not empty, as a `Secret`. Whatever is sent instead is not shown in the error either. */
export function secretString() {
  return z.unknown().transform((sent, context) => {
    if (typeof sent === 'string' && sent !== '' && sent.length <= 65_536) return new Secret(sent)
    const message = sent === undefined ? 'is missing' : 'must be a text of 1 to 65,536 characters'
    context.issues.push({ code: 'custom', message, input: undefined, params: { isSecret: true } })
    return z.NEVER
  })
}

function written<T>(parse: (text: string) => T | undefined, expected: string) {
  return z
    .string({ error: (issue) => (issue.input === undefined ? undefined : expected) })
    .transform((text, context) => {
      const value = parse(text)
      if (value !== undefined) return value
      context.issues.push({ code: 'custom', message: expected, input: text })
      return z.NEVER
    })
}
