import { setTimeout as delay } from 'node:timers/promises'
import { isProblem } from '#kernel'
import { UNREACHABLE } from '../../../problems.ts'
import { unreachable } from '../reasons.ts'
import { pauseFor } from './pause.ts'
import type { Wire } from '../wire/exchange.ts'
import { post, type Post, type PostEnd } from '../wire/post.ts'

const MAX_FAILURES = 5

type Unanswered = Extract<PostEnd, { kind: 'unanswered' }>

/**
 * Posts a request; where its stream ends behind an event with an id, fetches the rest with `Last-Event-ID`
 * (2025-11-25 transports), as often as the server cuts it. The caller's patience is in `request.signal`.
 */
export async function postAndResume(wire: Wire, request: Post): Promise<PostEnd> {
  let end = await post(wire, { ...request, isResumable: true })
  let from: string | undefined
  while (end.kind === 'unanswered') {
    from = end.lastEventId ?? from
    if (from === undefined) return end
    end = await resume(wire, request, { from, end })
  }
  if (end.kind === 'refused' && from !== undefined) throw unreachable(wire.server, new Error('it could not be resumed'))
  return end
}

async function resume(wire: Wire, request: Post, { from, end }: { from: string; end: Unanswered }): Promise<PostEnd> {
  const { signal } = request
  const headers = { ...request.headers, accept: 'text/event-stream', 'last-event-id': from }
  for (let failures = 0; ; failures += 1) {
    const pauseMs = pauseFor(end.retryMs, failures)
    await delay(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    try {
      return await post(wire, { ...request, isResumable: true, verb: 'GET', headers })
    } catch (error) {
      if (!isProblem(error, UNREACHABLE) || signal.aborted || failures >= MAX_FAILURES) throw error
    }
  }
}
