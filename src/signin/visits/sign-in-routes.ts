import type { Hono } from 'hono'
import * as z from 'zod'
import { isProblem, Problem } from '#kernel'
import type { LoginFactor } from '#login'
import { secondFactorPage, signInPage } from '../pages/sign-in.ts'
import { SIGN_IN_EXPIRED } from '../problems.ts'
import { returnPath } from './return-to.ts'
import type { SignInDeps } from '../service.ts'
import { statusOf } from './status.ts'
import {
  dropCookie,
  keepCookie,
  readCookie,
  readForm,
  readScript,
  requireCsrf,
  signIn,
  visit,
  type Visit,
} from './visit.ts'

const PENDING_SECONDS = 600
const CEREMONY_SECONDS = 300

/** Somebody whose password was right, and who owes a second factor. */
const halfway = z.object({ accountId: z.string(), userId: z.string() })
type Halfway = z.output<typeof halfway>

/** `/signin`: who is there. */
export function signInRoutes(app: Hono, deps: SignInDeps): void {
  app.get('/signin', async (context) => {
    const visitor = await visit(deps, context)
    const returnTo = returnPath(context.req.query('return'))
    const isAgain = context.req.query('again') !== undefined
    dropCookie(deps, context, 'halfway')
    if (visitor.account !== null && !isAgain) return context.redirect(returnTo, 303)
    return context.html(await showSignIn(deps, visitor, { returnTo, isAgain, userId: visitor.account?.userId ?? '' }))
  })
  app.post('/signin', async (context) => takePassword(deps, await visit(deps, context)))
  app.post('/signin/factor', async (context) => takeFactor(deps, await visit(deps, context)))
  app.post('/signin/passkey/options', async (context) => {
    const visitor = await visit(deps, context)
    requireCsrf(visitor, context.req.header('x-csrf'))
    const waiting = halfwayOf(deps, visitor)
    const { options, state } = await deps.accounts.beginPasskeySignIn(waiting?.accountId ?? null)
    keepSealed(deps, visitor, { name: 'ceremony', value: state, seconds: CEREMONY_SECONDS })
    return context.json(options)
  })
  app.post('/signin/passkey', async (context) => takePasskey(deps, await visit(deps, context)))
}

type Shown = { returnTo: string; isAgain?: boolean; userId?: string; trouble?: string | null }

async function showSignIn(deps: SignInDeps, visitor: Visit, shown: Shown) {
  const uid = /^\/signin\/([\w-]{1,200})$/.exec(shown.returnTo)?.[1]
  const question = uid === undefined ? null : await deps.server.findInteraction(visitor.context.req.raw, uid)
  const sources = deps.sources.buttons().map(({ name, title }) => ({
    title,
    href: `/signin/sources/${name}?return=${encodeURIComponent(shown.returnTo)}`,
  }))
  return signInPage(visitor.frame, { ...shown, sources, forClient: question?.clientName ?? null })
}

async function takePassword(deps: SignInDeps, visitor: Visit): Promise<Response> {
  const { context, from } = visitor
  const form = await readForm(visitor)
  const returnTo = returnPath(context.req.query('return'))
  const userId = (form.get('user') ?? '').trim().slice(0, 256)
  const password = (form.get('password') ?? '').slice(0, 1_024)
  try {
    const { accountId } = await deps.accounts.checkPassword({ userId, password, from })
    const factors = await deps.accounts.factors(accountId)
    if (!factors.hasTotp && factors.passkeys.length === 0)
      return await welcome(deps, visitor, { accountId, factor: 'password' })
    keepSealed(deps, visitor, {
      name: 'halfway',
      value: { accountId, userId } satisfies Halfway,
      seconds: PENDING_SECONDS,
    })
    return await context.html(
      secondFactorPage(visitor.frame, {
        returnTo,
        userId,
        hasTotp: factors.hasTotp,
        hasPasskey: factors.passkeys.length > 0,
      }),
    )
  } catch (error) {
    if (!isProblem(error)) throw error
    context.status(statusOf(error.kind.status))
    return context.html(await showSignIn(deps, visitor, { returnTo, userId, trouble: error.message }))
  }
}

async function takeFactor(deps: SignInDeps, visitor: Visit): Promise<Response> {
  const { context, from } = visitor
  const form = await readForm(visitor)
  const waiting = halfwayOf(deps, visitor)
  if (waiting === null) throw new Problem(SIGN_IN_EXPIRED, 'Sign in from the start once more.')
  const { accountId, userId } = waiting
  try {
    const recovery = form.get('recovery')
    if (recovery === null)
      await deps.accounts.checkTotp({ accountId, code: (form.get('code') ?? '').slice(0, 64), from })
    else await deps.accounts.checkRecoveryCode({ accountId, code: recovery.slice(0, 64), from })
    return await welcome(deps, visitor, { accountId, factor: 'two-factor' })
  } catch (error) {
    if (!isProblem(error)) throw error
    const { hasTotp, passkeys } = await deps.accounts.factors(accountId)
    const returnTo = returnPath(context.req.query('return'))
    const view = { returnTo, userId, hasTotp, hasPasskey: passkeys.length > 0, trouble: error.message }
    context.status(statusOf(error.kind.status))
    return await context.html(secondFactorPage(visitor.frame, view))
  }
}

const passkeyAnswer = z.object({ answer: z.looseObject({}) })

async function takePasskey(deps: SignInDeps, visitor: Visit): Promise<Response> {
  const { context, from } = visitor
  const { answer } = await readScript(visitor, passkeyAnswer)
  const state = z.string().safeParse(readSealed(deps, visitor, 'ceremony')).data
  dropCookie(deps, context, 'ceremony')
  if (state === undefined) throw new Problem(SIGN_IN_EXPIRED, 'Start with the passkey once more.')
  const { accountId } = await deps.accounts.finishPasskeySignIn({ state, answer, from })
  const { location } = await settle(deps, visitor, { accountId, factor: 'passkey' })
  return context.json({ location })
}

async function welcome(
  deps: SignInDeps,
  visitor: Visit,
  who: { accountId: string; factor: LoginFactor },
): Promise<Response> {
  const { location } = await settle(deps, visitor, who)
  return visitor.context.redirect(location, 303)
}

/** Starts the session, tells the trail, and says where to go on. */
export async function settle(
  deps: SignInDeps,
  visitor: Visit,
  { accountId, factor, source }: { accountId: string; factor: LoginFactor; source?: string },
): Promise<{ location: string }> {
  const account = await deps.accounts.find(accountId)
  if (account === null) throw new Problem(SIGN_IN_EXPIRED, 'This account is switched off. Ask an administrator.')
  const extra = { factor, address: visitor.from.address, ...(source === undefined ? {} : { source }) }
  await deps.audit.record({ what: 'sign-in', decision: 'allowed', userId: account.userId, face: 'web', extra })
  await signIn(deps, visitor, { accountId, factor })
  dropCookie(deps, visitor.context, 'halfway')
  return { location: returnPath(visitor.context.req.query('return')) }
}

function halfwayOf(deps: SignInDeps, visitor: Visit): Halfway | null {
  return halfway.safeParse(readSealed(deps, visitor, 'halfway')).data ?? null
}

type Sealed = { readonly name: string; readonly value: unknown; readonly seconds: number }

/** Keeps something in the browser that the browser cannot read. */
export function keepSealed(deps: SignInDeps, visitor: Visit, { name, value, seconds }: Sealed): void {
  const until = deps.clock.now() + seconds * 1_000
  keepCookie(deps, visitor.context, { name, value: deps.seal.close(name, value, until), seconds })
}

export function readSealed(deps: SignInDeps, visitor: Visit, name: string): unknown {
  const sealed = readCookie(deps, visitor.context, name)
  return sealed === undefined ? null : deps.seal.open(name, sealed, deps.clock.now())
}
