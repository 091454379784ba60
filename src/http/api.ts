import { Hono } from 'hono'
import { Problem } from '#kernel'
import type { Log } from '#telemetry'
import { answerError, answerProblem } from './contract/answer.ts'
import { NO_SUCH_ROUTE } from './contract/problems.ts'
import { answerPage, type PageAnswer } from './cors.ts'
import { guardBrowser, type BrowserRules } from './guard-browser.ts'

/** Paths that probes ask under any name; they tell nothing that is not plain from outside. */
const PROBES = new Set(['/livez', '/readyz'])

/**
 * The frame of the API: contracts are mounted on it. Keeps other people's web pages out, answers an unknown path and
 * whatever is thrown with a Problem.
 */
export function createApi(options: { log: Log; browser: BrowserRules }): Hono {
  const app = new Hono()
  app.use('*', async (context, next) => {
    if (!PROBES.has(context.req.path)) guardBrowser(context.req.raw, options.browser)
    const { isPreflight, headers } = answerPageOf(context.req.raw)
    if (isPreflight) return new Response(null, { status: 204, headers })
    await next()
    for (const [name, value] of Object.entries(headers)) context.res.headers.set(name, value)
    return undefined
  })
  app.notFound((context) =>
    answerProblem(
      new Problem(
        NO_SUCH_ROUTE,
        `There is nothing at ${context.req.path.slice(0, 200)}. /openapi.json lists all paths.`,
      ),
    ),
  )
  app.onError((error, { req }) => answerError(error, { method: req.method, path: req.path, log: options.log }))
  return app
}

function answerPageOf({ method, headers }: Request): PageAnswer {
  const origin = headers.get('origin')
  if (origin === null) return { headers: {}, isPreflight: false }
  const requestedMethod = headers.get('access-control-request-method') ?? undefined
  const requestedHeaders = headers.get('access-control-request-headers') ?? undefined
  return answerPage({ method, origin, requestedMethod, requestedHeaders })
}
