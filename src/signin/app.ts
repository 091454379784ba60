import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { isProblem, newId, Problem } from '#kernel'
import { accountRoutes } from './visits/account-routes.ts'
import { approveRoutes } from './visits/approve-routes.ts'
import { ASSETS } from './pages/assets.ts'
import { deviceRoutes } from './visits/device-routes.ts'
import { interactionRoutes } from './visits/interaction-routes.ts'
import { pageHeaders } from './pages/page-headers.ts'
import { messagePage } from './pages/message.ts'
import { policyRoutes } from './visits/policy-routes.ts'
import { BAD_FORM, NOT_LET_IN } from './problems.ts'
import type { SignInDeps } from './service.ts'
import { setupRoutes } from './visits/setup-routes.ts'
import { statusOf } from './visits/status.ts'
import { signInRoutes } from './visits/sign-in-routes.ts'
import { sourceRoutes } from './sources/routes.ts'
import { visit } from './visits/visit.ts'

const MAX_FORM_BYTES = 65_536
const YEAR_SECONDS = 31_536_000

/** All pages under `/signin`, `/setup`, `/device` and `/account`. */
export function createSignInPages(deps: SignInDeps): Hono {
  const app = new Hono()
  const limit = bodyLimit({
    maxSize: MAX_FORM_BYTES,
    onError: () => {
      throw new Problem(BAD_FORM, 'The form is too large.')
    },
  })
  app.use('*', limit, guardPage)
  app.get('/signin/assets/:file', (context) => answerAsset(context))
  signInRoutes(app, deps)
  sourceRoutes(app, deps)
  setupRoutes(app, deps)
  deviceRoutes(app, deps)
  accountRoutes(app, deps)
  policyRoutes(app, deps)
  approveRoutes(app, deps)
  interactionRoutes(app, deps) // last: `/signin/{uid}` takes what is left
  app.onError((error, context) => answerTrouble(deps, error, context))
  return app
}

async function guardPage(context: Context, next: () => Promise<void>): Promise<void> {
  await next()
  for (const [name, value] of Object.entries(
    pageHeaders({ nonce: context.get('nonce'), onward: context.get('onward') }),
  )) {
    if (context.res.headers.get(name) === null) context.res.headers.set(name, value)
  }
}

function answerAsset(context: Context): Response {
  const found = ASSETS.find(context.req.path)
  if (found === undefined) return new Response('not found', { status: 404 })
  return new Response(new Uint8Array(found.bytes), {
    headers: { 'content-type': found.type, 'cache-control': `public, max-age=${YEAR_SECONDS}, immutable` },
  })
}

/** A page for people, JSON for our own script. What was not foreseen is logged once and shown as a number only. */
async function answerTrouble(deps: SignInDeps, error: Error, context: Context): Promise<Response> {
  if (error instanceof HTTPException) return error.getResponse()
  const problem = isProblem(error) ? error : null
  const reference = problem === null ? newId('req') : null
  if (reference !== null)
    deps.log.error({ err: error, requestId: reference, path: context.req.routePath }, 'a page failed')
  const { status, title } = problem?.kind ?? { status: 500, title: 'Something went wrong' }
  const text = problem?.message ?? 'This is not your fault. Try again in a moment.'
  if (wantsJson(context)) return Response.json({ title, status, detail: text }, { status })
  const { frame } = await visit(deps, context)
  const next = problem?.kind === NOT_LET_IN ? signInAgain(context) : { label: 'Go to your account', href: '/account' }
  context.status(statusOf(status))
  return await context.html(messagePage(frame, { title, text, next, reference }))
}

/** More strongly, or as somebody else, and back to what was refused. */
function signInAgain({ req }: Context): { label: string; href: string } {
  const back = req.method === 'GET' ? req.path : '/account'
  return { label: 'Sign in again', href: `/signin?return=${encodeURIComponent(back)}&again=1` }
}

function wantsJson(context: Context): boolean {
  return context.req.header('content-type')?.startsWith('application/json') ?? false
}
