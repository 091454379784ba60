import type { Hono } from 'hono'
import * as z from 'zod'
import { Problem } from '#kernel'
import { choosePassword } from './choose-password.ts'
import { setupPage } from '../pages/setup.ts'
import { NO_SUCH_SIGN_IN, SIGN_IN_EXPIRED } from '../problems.ts'
import type { SignInDeps } from '../service.ts'
import { keepSealed, readSealed, settle } from './sign-in-routes.ts'
import { dropCookie, readForm, readScript, requireCsrf, visit } from './visit.ts'

const CEREMONY_SECONDS = 300
const passkeyAnswer = z.object({ answer: z.looseObject({}) })

/** `/setup/{token}`: a one-time link makes the first factor of an account, and signs in. */
export function setupRoutes(app: Hono, deps: SignInDeps): void {
  app.get('/setup/:token', async (context) => {
    const visitor = await visit(deps, context)
    const token = context.req.param('token')
    const found = await findSetup(deps, token)
    return context.html(setupPage(visitor.frame, { ...found, action: `/setup/${token}` }))
  })
  app.post('/setup/:token', async (context) => {
    const visitor = await visit(deps, context)
    const form = await readForm(visitor)
    const token = context.req.param('token')
    const found = await findSetup(deps, token)
    const chosen = choosePassword(form)
    if (!chosen.ok) {
      context.status(400)
      return await context.html(
        setupPage(visitor.frame, { ...found, action: `/setup/${token}`, trouble: chosen.trouble }),
      )
    }
    await useUp(deps, token)
    await deps.accounts.setPassword(found.accountId, chosen.password)
    await settle(deps, visitor, { accountId: found.accountId, factor: 'password' })
    return context.redirect('/account/totp?first=1', 303)
  })
  app.post('/setup/:token/passkey/options', async (context) => {
    const visitor = await visit(deps, context)
    requireCsrf(visitor, context.req.header('x-csrf'))
    const { accountId } = await findSetup(deps, context.req.param('token'))
    const { options, state } = await deps.accounts.beginPasskey(accountId)
    keepSealed(deps, visitor, { name: 'ceremony', value: state, seconds: CEREMONY_SECONDS })
    return context.json(options)
  })
  app.post('/setup/:token/passkey', async (context) => {
    const visitor = await visit(deps, context)
    const { answer } = await readScript(visitor, passkeyAnswer)
    const token = context.req.param('token')
    const { accountId } = await findSetup(deps, token)
    const state = z.string().safeParse(readSealed(deps, visitor, 'ceremony')).data
    dropCookie(deps, context, 'ceremony')
    if (state === undefined) throw new Problem(SIGN_IN_EXPIRED, 'Start with the passkey once more.')
    await deps.accounts.finishPasskey(accountId, { state, answer, name: visitor.from.agent })
    await useUp(deps, token)
    await settle(deps, visitor, { accountId, factor: 'passkey' })
    return context.json({ location: '/account/recovery-codes?first=1' })
  })
}

async function findSetup(deps: SignInDeps, token: string) {
  const found = token.length <= 200 ? await deps.accounts.findSetup(token) : null
  if (found !== null) return found
  throw new Problem(NO_SUCH_SIGN_IN, 'This link was used already, or its time is over. Ask for a new one.')
}

async function useUp(deps: SignInDeps, token: string): Promise<void> {
  if (await deps.accounts.endSetup(token)) return
  throw new Problem(NO_SUCH_SIGN_IN, 'This link was used by somebody else in this moment. Ask for a new one.')
}
