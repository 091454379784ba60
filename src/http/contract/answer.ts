import { isProblem, newId, Problem } from '#kernel'
import type { Log } from '#telemetry'
import { INTERNAL } from './problems.ts'

const HEADERS = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' } as const

/** The answer to whatever was thrown. A Problem is shown; everything else is logged once and shown as an id only. */
export function answerError(error: unknown, request: { method: string; path: string; log: Log }): Response {
  const problem = isProblem(error) ? error : hide(error, request)
  return answerProblem(problem)
}

/** A Problem as HTTP says it (RFC 9457). */
export function answerProblem(problem: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  const { status } = problem.kind
  const asked = status === 401 ? { 'www-authenticate': 'Bearer' } : {}
  // Nobody reads the rest of a body that is too large, so the connection cannot be used again.
  const ends = status === 413 ? { connection: 'close' } : {}
  return new Response(JSON.stringify(problem), { status, headers: { ...HEADERS, ...asked, ...ends, ...headers } })
}

function hide(error: unknown, request: { method: string; path: string; log: Log }): Problem {
  const requestId = newId('req')
  request.log.error({ err: error, requestId, method: request.method, path: request.path }, 'a request failed')
  return new Problem(INTERNAL, `This is not your fault. The log has the reason under the id ${requestId}.`, {
    requestId,
  })
}

/** `application/json`, never kept by anybody between here and the caller. */
export function answerJson(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
  })
}

/** One JSON value a line, as they come; ends its source when the reader goes away. */
export function answerLines(values: AsyncIterable<unknown>, report: (error: unknown) => void): Response {
  const lines = values[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  let isRead = true
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await lines.next()
        if (!isRead) return
        if (next.done === true) return controller.close()
        controller.enqueue(encoder.encode(`${JSON.stringify(next.value)}\n`))
      } catch (error) {
        if (!isRead) return
        report(error)
        controller.error(error)
      }
    },
    async cancel() {
      isRead = false
      await lines.return?.()
    },
  })
  return new Response(body, { headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' } })
}
