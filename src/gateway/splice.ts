import { endOfString } from './body.ts'

/**
 * Changes of single members of a JSON object in its bytes, without parsing the values: a 10 MB result is carried,
 * not rebuilt. The bytes must be one valid JSON object.
 */
export type Edit = { readonly at: number; readonly remove: number; readonly insert: string }
export type Member = { readonly start: number; readonly valueStart: number; readonly valueEnd: number }

/** The members of the object that starts at `from`, by key. */
export function membersOf(bytes: Buffer, from = 0): Map<string, Member> {
  const members = new Map<string, Member>()
  let at = skipBlank(bytes, skipBlank(bytes, from) + 1)
  while (at < bytes.length && bytes[at] === 0x22) {
    const keyEnd = endOfString(bytes, at)
    const valueStart = skipBlank(bytes, skipBlank(bytes, keyEnd + 1) + 1)
    const valueEnd = endOfValue(bytes, valueStart)
    members.set(keyOf(bytes, at, keyEnd), { start: at, valueStart, valueEnd })
    at = skipBlank(bytes, valueEnd)
    if (bytes[at] === 0x2c) at = skipBlank(bytes, at + 1)
  }
  return members
}

/** A key as its reader will understand it: one written with escapes is the same key. */
function keyOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('latin1', start + 1, end)
  return text.includes('\\') ? String(JSON.parse(bytes.toString('utf8', start, end + 1))) : text
}

/** Inserts members (`"key":value` each) at the front of the object that starts at `from`. */
export function insertFront(bytes: Buffer, members: readonly string[], from = 0): Edit {
  const at = skipBlank(bytes, from) + 1
  const isEmpty = bytes[skipBlank(bytes, at)] === 0x7d
  return { at, remove: 0, insert: members.join(',') + (isEmpty ? '' : ',') }
}

/** Removes a member with the comma that belonged to it. */
export function removeMember(bytes: Buffer, member: Member): Edit {
  const after = skipBlank(bytes, member.valueEnd)
  if (bytes[after] === 0x2c) return { at: member.start, remove: after + 1 - member.start, insert: '' }
  let before = member.start - 1
  while (isBlank(bytes[before])) before -= 1
  const start = bytes[before] === 0x2c ? before : member.start
  return { at: start, remove: member.valueEnd - start, insert: '' }
}

export function replaceValue(member: Member, value: string): Edit {
  return { at: member.valueStart, remove: member.valueEnd - member.valueStart, insert: value }
}

/** The object with the edits made, as pieces to be written one after the other. Edits must not overlap. */
export function applyEdits(bytes: Buffer, edits: readonly Edit[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const edit of edits.toSorted((a, b) => a.at - b.at)) {
    pieces.push(bytes.subarray(at, edit.at), Buffer.from(edit.insert))
    at = edit.at + edit.remove
  }
  pieces.push(bytes.subarray(at))
  return pieces
}

/** True when a key may be among the bytes; native search, so that most results are never scanned. */
export function mayHave(bytes: Buffer, ...quotedKeys: readonly Buffer[]): boolean {
  return quotedKeys.some((key) => bytes.includes(key)) || bytes.includes(ESCAPED_ASCII)
}

/** With this a key can be spelt so that it is not found by searching. */
const ESCAPED_ASCII = Buffer.from('\\u00')

function endOfValue(bytes: Buffer, at: number): number {
  const first = bytes[at]
  if (first === 0x22) return endOfString(bytes, at) + 1
  if (first === 0x7b || first === 0x5b) return endOfContainer(bytes, at)
  let end = at
  while (end < bytes.length && !isBlank(bytes[end]) && !isDelimiter(bytes[end])) end += 1
  return end
}

function endOfContainer(bytes: Buffer, start: number): number {
  let depth = 0
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === 0x22) at = endOfString(bytes, at)
    else if (byte === 0x7b || byte === 0x5b) depth += 1
    else if (byte === 0x7d || byte === 0x5d) depth -= 1
    if (depth === 0) return at + 1
  }
  return bytes.length
}

function skipBlank(bytes: Buffer, from: number): number {
  let at = from
  while (isBlank(bytes[at])) at += 1
  return at
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function isDelimiter(byte: number | undefined): boolean {
  return byte === 0x2c || byte === 0x7d || byte === 0x5d
}
