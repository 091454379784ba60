import type { Context, Hono } from 'hono'
import { isProblem, Problem } from '#kernel'
import { approvePage } from '../pages/approve.ts'
import { messagePage } from '../pages/message.ts'
import { BAD_FORM, NO_SUCH_SIGN_IN } from '../problems.ts'
import type { SignInDeps } from '../service.ts'
import { requireAccountEntry } from './entry.ts'
import { readForm, visit, type Visit } from './visit.ts'

/** Who answers, and where the form goes. */
type Approver = { readonly id: string; readonly userId: string; readonly via: 'page' | 'link' }

/**
 * `/approve/{id}`: those who may answer a call that waits see it and answer it; for everybody else there is no such page.
 * `/approve/link/{token}`: the same for whoever holds a one-time link.
 * `/approve/webhook`: no page; the service behind `[approvals.webhook]` sends its answers there, signed.
 */
export function approveRoutes(app: Hono, deps: SignInDeps): void {
  app.post('/approve/webhook', async (context) => {
    const signature = context.req.header('gatehouse-signature') ?? ''
    return answerWebhook(deps, { signature, body: await context.req.text() })
  })
  for (const path of ['/approve/:id', '/approve/link/:token'] as const) {
    app.get(path, async (context) => {
      const visitor = await visitWithoutScript(deps, context)
      const approver = await whoAnswers(deps, visitor, context.req.param())
      if (approver === 'signin') {
        const back = encodeURIComponent(context.req.path)
        return context.redirect(`/signin?return=${back}`, 303)
      }
      const approval = await deps.approvals.show(approver.id)
      if (approval.state === 'pending')
        return context.html(approvePage(visitor.frame, { approval, action: context.req.path }))
      const text = `The call of ${approval.tool} is ${approval.state}.`
      return context.html(messagePage(visitor.frame, { title: 'Nothing to answer', text }))
    })
    app.post(path, async (context) => {
      const visitor = await visitWithoutScript(deps, context)
      const approver = await whoAnswers(deps, visitor, context.req.param())
      if (approver === 'signin') throw noSuchPage()
      const answer = (await readForm(visitor)).get('answer')
      if (answer !== 'approve' && answer !== 'deny') throw new Problem(BAD_FORM, 'The form has no answer.')
      const { tool, state } = await deps.approvals.answer(approver.id, answer, approver)
      const title = state === 'denied' ? 'Denied' : 'Approved'
      const text = state === 'denied' ? `${tool} is not called.` : `${tool} may be called, once, with these arguments.`
      return context.html(messagePage(visitor.frame, { title, text }))
    })
  }
}

/** For a program: whatever is wrong is said in JSON, whatever it sent. */
async function answerWebhook(deps: SignInDeps, signed: { signature: string; body: string }): Promise<Response> {
  try {
    return Response.json(await deps.approvals.answerSigned(signed))
  } catch (error) {
    if (!isProblem(error)) throw error
    return Response.json(error, { status: error.kind.status, headers: { 'content-type': 'application/problem+json' } })
  }
}

/** These pages need no script, so none may run on them. */
async function visitWithoutScript(deps: SignInDeps, context: Context): Promise<Visit> {
  const visitor = await visit(deps, context)
  context.set('nonce', '')
  return visitor
}

async function whoAnswers(
  deps: SignInDeps,
  visitor: Visit,
  { id, token }: { id?: string; token?: string },
): Promise<Approver | 'signin'> {
  if (token !== undefined) {
    const linked = await deps.approvals.findByLink(token)
    if (linked === null) throw noSuchPage()
    return { id: linked, userId: `link:${linked}`, via: 'link' }
  }
  const { account, session } = visitor
  if (account === null || session === null) return 'signin'
  await requireAccountEntry(deps, { ...visitor, account, session })
  const approval = await deps.approvals.show(id ?? '').catch(() => null)
  if (approval === null || !deps.approvals.mayAnswer(approval, account.userId)) throw noSuchPage()
  return { id: approval.id, userId: account.userId, via: 'page' }
}

function noSuchPage(): Problem {
  return new Problem(NO_SUCH_SIGN_IN, 'There is no such page, or it is not for you.')
}
