import type { Hono } from 'hono'
import { isProblem, Problem } from '#kernel'
import { requireEntry } from './entry.ts'
import { deviceApprovalPage, deviceCodePage } from './pages/device.ts'
import { messagePage } from './pages/message.ts'
import { BAD_FORM } from './problems.ts'
import { describeScopes } from './scopes.ts'
import type { SignInDeps } from './service.ts'
import { readForm, visit, type Visit } from './visit.ts'

const CODE = /^[A-Za-z0-9-]{1,32}$/

/** `/device`: approves a program that has no browser of its own. A sign-in comes first, also with a ready-made link. */
export function deviceRoutes(app: Hono, deps: SignInDeps): void {
  app.get('/device', async (context) => {
    const visitor = await visit(deps, context)
    const code = context.req.query('user_code') ?? ''
    if (visitor.account === null) return context.redirect(`/signin?return=${encodeURIComponent(pathWith(code))}`, 303)
    return context.html(deviceCodePage(visitor.frame, { code: CODE.test(code) ? code : '' }))
  })
  app.post('/device', async (context) => {
    const visitor = await visit(deps, context)
    const form = await readForm(visitor)
    const userCode = (form.get('user_code') ?? '').trim().slice(0, 32)
    if (visitor.account === null)
      return context.redirect(`/signin?return=${encodeURIComponent(pathWith(userCode))}`, 303)
    try {
      const { clientName, gateway, scopes } = await deps.server.findDevice(userCode, visitor.from)
      const title = gateway?.title ?? null
      const view = {
        code: userCode,
        clientName,
        gateway: title,
        may: describeScopes(scopes, gateway),
        userId: visitor.account.userId,
      }
      return await context.html(deviceApprovalPage(visitor.frame, view))
    } catch (error) {
      if (!isProblem(error)) throw error
      context.status(400)
      return await context.html(deviceCodePage(visitor.frame, { trouble: error.message }))
    }
  })
  app.post('/device/approve', async (context) => decide(deps, await visit(deps, context)))
}

function pathWith(code: string): string {
  return CODE.test(code) ? `/device?user_code=${code}` : '/device'
}

async function decide(deps: SignInDeps, visitor: Visit): Promise<Response> {
  const { context, session, account, frame } = visitor
  const form = await readForm(visitor)
  const userCode = (form.get('user_code') ?? '').trim().slice(0, 32)
  if (session === null || account === null)
    return context.redirect(`/signin?return=${encodeURIComponent(pathWith(userCode))}`, 303)
  const asked = await deps.server.findDevice(userCode, visitor.from)
  const services = [...(asked.gateway === null ? [] : [asked.gateway.slug]), `client:${asked.clientId}`]
  const event = {
    what: 'device.approval',
    userId: account.userId,
    face: 'web',
    gateway: asked.gateway?.slug,
    client: asked.clientId,
  }
  switch (form.get('decision') ?? '') {
    case 'allow':
      await requireEntry(deps, visitor, { account, session, services })
      await deps.audit.record({ ...event, decision: 'allowed' })
      await deps.server.allowDevice({ userCode, session, account })
      return await context.html(
        messagePage(frame, { title: 'Connected', text: 'Go back to your device. You can close this window.' }),
      )
    case 'deny':
      await deps.audit.record({ ...event, decision: 'denied', reason: 'the person said no' })
      await deps.server.denyDevice(userCode)
      return await context.html(
        messagePage(frame, { title: 'Not connected', text: 'The device was told no. You can close this window.' }),
      )
    default:
      throw new Problem(BAD_FORM, 'Choose "Allow" or "Cancel".')
  }
}
