import { isUtf8 } from 'node:buffer'

/**
 * The text of an `Mcp-Name` or `Mcp-Param-*` header: visible ASCII and inner blanks as they are, everything else as
 * `=?base64?…?=` of its UTF-8. Null when it is neither.
 */
export function decodeHeader(value: string): string | null {
  const coded = /^=\?base64\?(.*)\?=$/.exec(value)
  if (coded === null) return /^[\x20-\x7e\t]*$/.test(value) ? value : null
  const base64 = coded[1] ?? ''
  const bytes = Buffer.from(base64, 'base64')
  // One text has one coded form: no missing padding, no other alphabet, no stray bits.
  if (bytes.toString('base64') !== base64) return null
  return isUtf8(bytes) ? bytes.toString('utf8') : null
}

/** The coded form of a text, plain where it may be. */
export function encodeHeader(text: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith('=?')
  return isPlain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`
}
