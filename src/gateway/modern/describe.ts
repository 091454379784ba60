import type { JsonObject } from '#kernel'
import type { Listing } from '#tools'
import { modernShape, pageOf, type ListSpec } from '../lists.ts'
import { resultMessage, sendJson, type Pieces } from '../write.ts'
import { MODERN_VERSIONS } from './envelope.ts'
import type { ModernRequest } from './session.ts'

/** `server/discover`: what this caller sees of the gateway. */
export function answerDiscover(request: ModernRequest): void {
  const { face, exchange } = request
  const { capabilities, instructions } = face.tools.describe(exchange.admission)
  const result = {
    resultType: 'complete',
    supportedVersions: MODERN_VERSIONS,
    capabilities: withoutSessionEra(capabilities),
    ...(instructions === undefined ? {} : { instructions }),
    ttlMs: face.limits.listTtlMs,
    cacheScope: 'private',
    _meta: { 'io.modelcontextprotocol/serverInfo': face.house },
  }
  send(request, [Buffer.from(JSON.stringify(result))])
}

/** One page of a list. The array is shared JSON; only what is around it is made for this caller. */
export async function answerList(request: ModernRequest, spec: ListSpec): Promise<void> {
  const { face, exchange, message, session } = request
  const listing = await face.tools.list(exchange.admission, spec.kind, session)
  const page = pageOf(listing, {
    spec,
    cursor: message.params.cursor,
    pageSize: face.limits.pageSize,
    shape: modernShape,
  })
  const rest = {
    ...(page.nextCursor === undefined ? {} : { nextCursor: page.nextCursor }),
    // What is incomplete now must not be kept: the next look may find the rest.
    ttlMs: listing.missing.length > 0 ? 0 : face.limits.listTtlMs,
    cacheScope: 'private',
    _meta: { 'io.modelcontextprotocol/serverInfo': face.house, ...missingMeta(listing) },
  }
  const head = Buffer.from(`{"resultType":"complete","${spec.member}":`)
  send(request, [head, page.json, Buffer.from(`,${JSON.stringify(rest).slice(1)}`)])
}

/** Servers whose part is missing, for clients that want to show it. */
export function missingMeta(listing: Listing): JsonObject {
  if (listing.missing.length === 0) return {}
  const missing = listing.missing.map(({ server, state, reason }) => ({ server, state, reason }))
  return { 'gatehouse/missing': missing }
}

/** SEP-2663: the modern era must not show the session era's core tasks. */
function withoutSessionEra({ tasks: _tasks, ...capabilities }: JsonObject): JsonObject {
  return capabilities
}

function send(request: ModernRequest, result: Pieces): void {
  sendJson(request.exchange.res, { status: 200, body: resultMessage(request.message.id, result) })
}
