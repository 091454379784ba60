import {
  applyEdits,
  insertFront,
  mayHave,
  membersOf,
  removeMember,
  replaceValue,
  type Edit,
  type Member,
} from '../splice.ts'

/** Results of one era as the other's, by changing single members in their bytes. */

export type ModernResult = {
  /** `{"name":…,"version":…}` of this gateway as JSON. */
  readonly serverInfo: string
  /** For results that clients may keep: how long, where the server did not say. Always private to the caller. */
  readonly cache?: { readonly defaultTtlMs: number; readonly mayKeep: boolean }
}

const RESULT_TYPE = Buffer.from('"resultType"')
const META = Buffer.from('"_meta"')
const STRUCTURED = Buffer.from('"structuredContent"')
const SERVER_INFO = 'io.modelcontextprotocol/serverInfo'

/** A complete result for a modern client: `resultType`, our `serverInfo`, and the cache members where they belong. */
export function modernResult(bytes: Buffer, options: ModernResult): Buffer[] {
  const body = options.cache === undefined ? withoutResultType(bytes) : undefined
  if (body !== undefined && !mayHave(body, RESULT_TYPE, META)) {
    const stamp = `"resultType":"complete","_meta":{"${SERVER_INFO}":${options.serverInfo}}`
    return [...applyEdits(body, [insertFront(body, [stamp])]), CLOSE]
  }
  const mustScan = options.cache !== undefined || mayHave(bytes, RESULT_TYPE, META)
  const members = mustScan ? membersOf(bytes) : NO_MEMBERS
  const front: string[] = []
  const edits: Edit[] = []
  put('resultType', '"complete"')
  const meta = members.get('_meta')
  if (meta !== undefined && bytes[meta.valueStart] === 0x7b)
    edits.push(stampServerInfo(bytes, meta, options.serverInfo))
  else put('_meta', `{"${SERVER_INFO}":${options.serverInfo}}`)
  if (options.cache !== undefined) {
    put('cacheScope', '"private"')
    if (!options.cache.mayKeep) put('ttlMs', '0')
    else if (!isCount(bytes, members.get('ttlMs'))) put('ttlMs', String(options.cache.defaultTtlMs))
  }
  if (front.length > 0) edits.push(insertFront(bytes, front))
  return applyEdits(bytes, edits)

  function put(key: string, json: string): void {
    const member = members.get(key)
    if (member === undefined) front.push(`"${key}":${json}`)
    else edits.push(replaceValue(member, json))
  }
}

/** A result for a session-era client, without what only modern ones know and would make old ones refuse it. */
export function legacyResult(bytes: Buffer): Buffer[] {
  const body = withoutResultType(bytes)
  if (body !== undefined && !mayHave(body, RESULT_TYPE, STRUCTURED)) return [body, CLOSE]
  if (!mayHave(bytes, RESULT_TYPE, STRUCTURED)) return [bytes]
  const members = membersOf(bytes)
  const unwanted: Member[] = []
  const resultType = members.get('resultType')
  if (resultType !== undefined) unwanted.push(resultType)
  const structured = members.get('structuredContent')
  // Until 2025-11-25 structured content is an object; any other value is still there as text in `content`.
  if (structured !== undefined && bytes[structured.valueStart] !== 0x7b) unwanted.push(structured)
  return removeAll(bytes, unwanted)
}

/** One after the other: two neighbours may both be last, and would claim the same comma. */
function removeAll(bytes: Buffer, unwanted: readonly Member[]): Buffer[] {
  const [first, ...rest] = unwanted.toSorted((a, b) => b.start - a.start)
  if (first === undefined) return [bytes]
  const without = applyEdits(bytes, [removeMember(bytes, first)])
  return rest.length === 0 ? without : removeAll(Buffer.concat(without), rest)
}

function stampServerInfo(bytes: Buffer, meta: Member, serverInfo: string): Edit {
  const known = membersOf(bytes, meta.valueStart).get(SERVER_INFO)
  if (known !== undefined) return replaceValue(known, serverInfo)
  return insertFront(bytes, [`"${SERVER_INFO}":${serverInfo}`], meta.valueStart)
}

function isCount(bytes: Buffer, member: Member | undefined): boolean {
  return member !== undefined && /^\d{1,15}$/.test(bytes.toString('latin1', member.valueStart, member.valueEnd))
}

/**
 * What stands before a last member `"resultType":"complete"`, as modern servers write it: the usual case, in which
 * nothing has to be read. In valid JSON the same characters cannot stand there and mean something else: each of the
 * quotes has no backslash before it, so it begins or ends a text, and between them stands no white space.
 */
function withoutResultType(bytes: Buffer): Buffer | undefined {
  const end = bytes.length - LAST_RESULT_TYPE.length
  return end > 0 && LAST_RESULT_TYPE.compare(bytes, end) === 0 ? bytes.subarray(0, end) : undefined
}

const LAST_RESULT_TYPE = Buffer.from(',"resultType":"complete"}')
const CLOSE = Buffer.from('}')
const NO_MEMBERS: ReadonlyMap<string, Member> = new Map()
