import type { Finder, Span } from './span.ts'

const LOCAL = /[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]/u
const DOMAIN = /[\p{L}\p{N}.-]/u
const MAX_LOCAL = 64
const MAX_DOMAIN = 253
const REAL_DOMAIN = /^[\p{L}\p{N}](?:[\p{L}\p{N}-]*\.)+[\p{L}]{2,63}$/u

/** E-mail addresses: from each `@` outwards, which costs nothing where there is none. */
export const findEmails: Finder = (text) => {
  const spans: Span[] = []
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    let start = at
    while (start > 0 && at - start < MAX_LOCAL && LOCAL.test(text.charAt(start - 1))) start--
    let end = at + 1
    while (end < text.length && end - at <= MAX_DOMAIN && DOMAIN.test(text.charAt(end))) end++
    while (end > at && /[.-]/.test(text.charAt(end - 1))) end--
    if (start < at && REAL_DOMAIN.test(text.slice(at + 1, end))) spans.push([start, end])
  }
  return spans
}
