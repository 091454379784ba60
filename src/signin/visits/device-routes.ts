import type { Hono } from 'hono'
import type { AuditEvent } from '#audit'
import { isProblem, Problem } from '#kernel'
import { requireEntry } from './entry.ts'
import { deviceApprovalPage, deviceCodePage } from '../pages/device.ts'
import { messagePage } from '../pages/message.ts'
import { BAD_FORM } from '../problems.ts'
import type { Account, DeviceQuestion, From } from '../ports.ts'
import { describeScopes } from './scopes.ts'
import type { SignInDeps } from '../service.ts'
import { statusOf } from './status.ts'
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
      const { account, from } = visitor
      const { clientName, gateway, scopes } = await findDevice(deps, { account, from }, userCode)
      const title = gateway?.title ?? null
      const view = {
        code: asOnTheDevice(userCode),
        clientName,
        gateway: title,
        may: describeScopes(scopes, gateway),
        userId: account.userId,
      }
      return await context.html(deviceApprovalPage(visitor.frame, view))
    } catch (error) {
      if (!isProblem(error)) throw error
      context.status(statusOf(error.kind.status))
      return await context.html(deviceCodePage(visitor.frame, { trouble: error.message }))
    }
  })
  app.post('/device/approve', async (context) => decide(deps, await visit(deps, context)))
}

/** However it was typed, it is compared with what the device shows. */
function asOnTheDevice(typed: string): string {
  const letters = typed.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')
  return `${letters.slice(0, 4)}-${letters.slice(4)}`
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
  const asked = await findDevice(deps, { account, from: visitor.from }, userCode)
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
      await answering(deps, event, () => deps.server.allowDevice({ userCode, session, account }))
      return await context.html(
        messagePage(frame, { title: 'Connected', text: 'Go back to your device. You can close this window.' }),
      )
    case 'deny':
      await deps.audit.record({ ...event, decision: 'denied', reason: 'the person said no' })
      await answering(deps, event, () => deps.server.denyDevice(userCode))
      return await context.html(
        messagePage(frame, { title: 'Not connected', text: 'The device was told no. You can close this window.' }),
      )
    default:
      throw new Problem(BAD_FORM, 'Choose "Allow" or "Cancel".')
  }
}

/** Somebody signed in types a code; wrong ones are counted. */
function findDevice(
  deps: SignInDeps,
  { account, from }: { account: Account; from: From },
  userCode: string,
): Promise<DeviceQuestion> {
  const { accountId } = account
  return deps.accounts.checkDeviceCode({ accountId, from }, () => deps.server.findDevice(userCode))
}

/** The answer is recorded before it is given; one that came too late has a second record. */
async function answering(
  deps: SignInDeps,
  event: Omit<AuditEvent, 'decision'>,
  answer: () => Promise<void>,
): Promise<void> {
  try {
    await answer()
  } catch (error) {
    const reason = isProblem(error) ? error.message : 'the answer could not be stored'
    await deps.audit.record({ ...event, decision: 'failed', reason })
    throw error
  }
}
