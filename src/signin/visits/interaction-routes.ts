import type { Hono } from 'hono'
import { Problem } from '#kernel'
import { requireEntry } from './entry.ts'
import { consentPage } from '../pages/consent.ts'
import { formTarget } from '../pages/page-headers.ts'
import { messagePage } from '../pages/message.ts'
import type { Account, ConsentQuestion, Handed, Session } from '../ports.ts'
import { BAD_FORM, NO_SUCH_SIGN_IN } from '../problems.ts'
import type { SignInDeps } from '../service.ts'
import { describeScopes } from './scopes.ts'
import { leadOn, readForm, visit, type Visit } from './visit.ts'

/** `/signin/{uid}`: the authorization server hands a browser over, and gets it back with an answer. */
export function interactionRoutes(app: Hono, deps: SignInDeps): void {
  app.get('/signin/:uid', async (context) => {
    const visitor = await visit(deps, context)
    const uid = context.req.param('uid')
    const question = await findQuestion(deps, visitor, uid)
    const who = await whoAnswers(visitor, question)
    if (who === null) return context.redirect(signInPath(visitor, uid), 303)
    await requireEntry(deps, visitor, { ...who, services: servicesOf(question) })
    leadOn(context, formTarget(question.redirectUri))
    return context.html(consentPage(visitor.frame, viewOf(question, { uid, userId: who.account.userId })))
  })
  app.post('/signin/:uid', async (context) => {
    const visitor = await visit(deps, context)
    const form = await readForm(visitor)
    const uid = context.req.param('uid')
    const question = await findQuestion(deps, visitor, uid)
    const who = await whoAnswers(visitor, question)
    if (who === null) return context.redirect(signInPath(visitor, uid), 303)
    const event = {
      what: 'consent',
      userId: who.account.userId,
      face: 'web',
      gateway: question.gateway?.slug,
      client: question.clientId,
    }
    switch (form.get('decision') ?? '') {
      case 'allow':
        await requireEntry(deps, visitor, { ...who, services: servicesOf(question) })
        await deps.audit.record({ ...event, decision: 'allowed', extra: { scopes: [...question.scopes] } })
        return hand(visitor, await deps.server.allow(context.req.raw, { uid, ...who }))
      case 'deny':
        await deps.audit.record({ ...event, decision: 'denied', reason: 'the person said no' })
        return hand(visitor, await deps.server.deny(context.req.raw, uid))
      default:
        throw new Problem(BAD_FORM, 'Choose "Allow" or "Cancel".')
    }
  })
  app.get('/signin/:uid/ended', async (context) => {
    const { frame } = await visit(deps, context)
    return context.html(messagePage(frame, { title: 'Done', text: 'You can close this window.' }))
  })
}

async function findQuestion(deps: SignInDeps, visitor: Visit, uid: string): Promise<ConsentQuestion> {
  const found = /^[\w-]{1,200}$/.test(uid) ? await deps.server.findInteraction(visitor.context.req.raw, uid) : null
  if (found !== null) return found
  throw new Problem(
    NO_SUCH_SIGN_IN,
    'This request has ended, or was begun in another browser. Start again from the program that sent you here.',
  )
}

/** Whoever is signed in, unless the program wants to be sure that they still are who they were. */
async function whoAnswers(
  { session, account }: Visit,
  { signedInAfter }: ConsentQuestion,
): Promise<{ session: Session; account: Account } | null> {
  if (session === null || account === null) return null
  if (signedInAfter !== null && session.signedInAt < signedInAfter) return null
  return { session, account }
}

function signInPath(visitor: Visit, uid: string): string {
  const again = visitor.account === null ? '' : '&again=1'
  return `/signin?return=${encodeURIComponent(`/signin/${uid}`)}${again}`
}

function servicesOf({ gateway, clientId }: Pick<ConsentQuestion, 'gateway' | 'clientId'>): readonly string[] {
  return [...(gateway === null ? [] : [gateway.slug]), `client:${clientId}`]
}

function viewOf(question: ConsentQuestion, { uid, userId }: { uid: string; userId: string }) {
  const redirect = new URL(question.redirectUri)
  const isWeb = redirect.protocol === 'https:' || redirect.protocol === 'http:'
  const isLocal = !isWeb || ['localhost', '127.0.0.1', '[::1]'].includes(redirect.hostname)
  return {
    action: `/signin/${uid}`,
    clientName: question.clientName,
    clientId: question.clientId,
    redirectTo: isWeb ? redirect.host : `${redirect.protocol}//${redirect.host}`,
    isLocal,
    gateway: question.gateway?.title ?? null,
    may: describeScopes(question.scopes, question.gateway),
    userId,
  }
}

function hand({ context }: Visit, { location, cookies }: Handed): Response {
  for (const cookie of cookies) context.header('set-cookie', cookie, { append: true })
  return context.redirect(location, 303)
}
