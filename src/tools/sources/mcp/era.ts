import { isProblem, type JsonObject, type Problem } from '#kernel'
import { BROKEN_REPLY } from '../../problems.ts'
import { ALL_CAPABILITIES } from './legacy/capabilities.ts'
import { introduce } from './legacy/handshake.ts'
import type { OpenLink } from './link.ts'
import { MODERN_VERSION, standardHeaders, withEnvelope } from './modern/envelope.ts'
import { brokenReply, refused } from './reasons.ts'
import type { Wire } from './wire/exchange.ts'
import { post, type PostEnd } from './wire/post.ts'
import { WrongEra } from './wrong-era.ts'

export type HttpEra = 'modern' | 'legacy' | 'sse'

/** `isSure` is false when the server failed at the newest era's question instead of answering it: ask again soon. */
export type Verdict = { readonly era: HttpEra; readonly isSure: boolean }

export type EraProbe = {
  readonly wire: Wire
  readonly house: { readonly name: string; readonly version: string }
  readonly openHttp: OpenLink
  readonly openSse: OpenLink
  readonly signal: AbortSignal
}

/**
 * Finds out which era a server speaks, newest first. Only an answer is evidence: a sign-in page, an outage or silence
 * says nothing about the era and rejects with its own reason.
 */
export async function detectEra(probe: EraProbe): Promise<Verdict> {
  const hint = readDiscovery(probe.wire.server, await askDiscovery(probe))
  if (hint === 'modern') return { era: 'modern', isSure: true }
  const isSure = hint === 'older'
  try {
    const opened = await introduceTo(probe, probe.openHttp)
    await opened.link.close()
    return { era: 'legacy', isSure }
  } catch (error) {
    if (!(error instanceof WrongEra)) throw error
  }
  try {
    const opened = await introduceTo(probe, probe.openSse)
    await opened.link.close()
    return { era: 'sse', isSure }
  } catch (error) {
    throw error instanceof WrongEra || isProblem(error, BROKEN_REPLY) ? noEra(probe.wire.server) : error
  }
}

function introduceTo({ wire, house, signal }: EraProbe, openLink: OpenLink) {
  const hand = {
    clientInfo: { ...house },
    capabilities: ALL_CAPABILITIES,
    signal,
    events: { message: () => undefined },
  }
  return introduce(wire.server, openLink, { key: 'era', ...hand })
}

function askDiscovery({ wire, house, signal }: EraProbe): Promise<PostEnd> {
  const method = 'server/discover'
  const params: JsonObject = withEnvelope({}, { clientInfo: { ...house }, clientCapabilities: {} })
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method, params })
  return post(wire, { id: 0, headers: standardHeaders(method, params), body, signal })
}

const MODERN_ERRORS = new Set([-32020, -32021])

function readDiscovery(server: string, end: PostEnd): 'modern' | 'older' | 'unsure' {
  if (end.kind === 'unanswered') return 'older'
  if (end.kind === 'answer' && end.answer.kind === 'result') {
    const { supportedVersions } = end.answer.result.value()
    return Array.isArray(supportedVersions) && supportedVersions.includes(MODERN_VERSION) ? 'modern' : 'older'
  }
  const error = end.kind === 'refused' ? end.error : end.answer.kind === 'error' ? end.answer.error : undefined
  if (error !== undefined && MODERN_ERRORS.has(error.code)) return 'modern'
  if (end.kind !== 'refused') return 'older'
  return readStatus(server, end.status)
}

function readStatus(server: string, status: number): 'older' | 'unsure' {
  if (status === 401 || status === 403 || status === 408 || status === 429) throw refused(server, status)
  if (status < 500) return 'older'
  // Old servers exist that break on what they do not know; one that is down does not answer `initialize` either.
  if (status === 500 || status === 501) return 'unsure'
  throw refused(server, status)
}

function noEra(server: string): Problem {
  return brokenReply(server, 'answers at this address, but neither as streamable HTTP nor as HTTP+SSE; check its url')
}
