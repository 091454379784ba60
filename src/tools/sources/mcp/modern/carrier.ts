import type { JsonObject } from '#kernel'
import type { CallerSession, Identify } from '../../../source.ts'
import { identityHeader } from '../identity.ts'
import { brokenReply, refused, unreachable } from '../reasons.ts'
import type { Wire } from '../wire/exchange.ts'
import type { Answer, WireMessage } from '../wire/message.ts'
import { post, type PostEnd } from '../wire/post.ts'
import { standardHeaders } from './envelope.ts'
import { WrongEra } from '../wrong-era.ts'

/** What carries requests of the stateless era: HTTP, or a child process. `params` already hold the envelope. */
export type ModernCarrier = {
  request(request: ModernRequest): Promise<Answer>
}

export type ModernRequest = {
  readonly method: string
  readonly params: JsonObject
  readonly headers?: Readonly<Record<string, string>>
  /** For whom it is made; absent for what we ask on our own account. */
  readonly session?: CallerSession
  readonly identity?: Identify | undefined
  readonly signal: AbortSignal
  readonly maxBytes?: number | undefined
  onMessage?(message: WireMessage): void
}

/** One POST a request; closing its response is what cancels it. */
export function createHttpCarrier(wire: Wire): ModernCarrier {
  let nextId = 0
  return {
    request: async (request) => {
      const { method, params, headers, signal } = request
      nextId += 1
      const id = nextId
      const end = await post(wire, {
        id,
        headers: { ...headers, ...identityHeader(request.identity), ...standardHeaders(method, params) },
        body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
        signal,
        maxBytes: request.maxBytes,
        onMessage: (message) => request.onMessage?.(message),
      })
      return readEnd(wire.server, end)
    },
  }
}

const UNSUPPORTED_VERSION = -32022

function readEnd(server: string, end: PostEnd): Answer {
  switch (end.kind) {
    case 'answer':
      if (end.answer.kind === 'error' && end.answer.error.code === UNSUPPORTED_VERSION) throw new WrongEra(server)
      return end.answer
    case 'unanswered':
      throw end.lastEventId === undefined
        ? brokenReply(server, 'ended its answer before the result')
        : unreachable(server, new Error('the stream ended'))
    case 'refused':
      return readRefusal(server, end)
  }
}

/** A refusal that a server of the stateless era would not send is a sign that this is none any more; nothing was run. */
function readRefusal(server: string, { status, error }: Extract<PostEnd, { kind: 'refused' }>): Answer {
  if (status === 401 || status === 403) throw refused(server, status)
  const isOfThisEra = error !== undefined && error.code !== UNSUPPORTED_VERSION && !isLegacyCode(error.code)
  if (isOfThisEra) return { kind: 'error', id: null, error }
  if (status === 400 || status === 404 || status === 405) throw new WrongEra(server)
  throw refused(server, status)
}

/** -32000…-32019 are what older servers made up (2026-07-28 basic/index). */
function isLegacyCode(code: number): boolean {
  return code <= -32000 && code > -32020
}
