import { isIPv4, isIPv6 } from 'node:net'

/** The formats of JSON Schema (2020-12 §7.3) that values are checked for, and harmless values that have them. */

const DATE = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,12})?(?:[Zz]|[+-]\d{2}:\d{2})$/
const HOST =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/

const isDateTime = (text: string): boolean =>
  DATE.test(text.slice(0, 10)) && /^[Tt ]/.test(text.slice(10)) && TIME.test(text.slice(11))
const isUri = (text: string): boolean => /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`[\]]+$/.test(text)

export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: (text) => DATE.test(text),
  time: (text) => TIME.test(text),
  'date-time': isDateTime,
  duration: (text) => /^P(?!$)[0-9YMWDTHS]{1,64}$/.test(text),
  email: (text) => text.length <= 320 && /^[^\s@[\]]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(text),
  hostname: (text) => HOST.test(text),
  ipv4: isIPv4,
  ipv6: isIPv6,
  uri: isUri,
  'uri-reference': (text) => !/[\s<>"{}|\\^`[\]]/.test(text),
  uuid: (text) => /^(?:urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
}

export const PLACEHOLDERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['date', ['1970-01-01']],
  ['time', ['00:00:00Z']],
  ['date-time', ['1970-01-01T00:00:00Z']],
  ['duration', ['PT0S']],
  ['email', ['redacted@redacted.invalid']],
  ['idn-email', ['redacted@redacted.invalid']],
  ['hostname', ['redacted.invalid']],
  ['idn-hostname', ['redacted.invalid']],
  ['ipv4', ['0.0.0.0']],
  ['ipv6', ['::']],
  ['uri', ['about:redacted']],
  ['uri-reference', ['redacted']],
  ['iri', ['about:redacted']],
  ['iri-reference', ['redacted']],
  ['url', ['https://redacted.invalid/']],
  ['uuid', ['00000000-0000-0000-0000-000000000000']],
  ['json-pointer', ['/redacted']],
  ['regex', ['redacted']],
])
