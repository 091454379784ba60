import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { EgressClient } from '#http'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { ApprovalsConfig, ShownApproval } from './schema.ts'

const TRIES = 3
const TRY_MS = 5_000
const MAX_UNDER_WAY = 100

export type NotifyDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly client: EgressClient
  readonly publicUrl: () => string
  readonly webhook: () => ApprovalsConfig['webhook']
}

/**
 * Tells the webhook of a new approval: who, which tool, and the address of its page; never the arguments. Signed like
 * hooks are. It keeps no call waiting, and what could not be told after three tries is logged.
 */
export function createNotifier(deps: NotifyDeps): (approval: ShownApproval) => void {
  const { log } = deps
  let underWay = 0
  return (approval) => {
    const webhook = deps.webhook()
    if (webhook === undefined) return
    if (underWay >= MAX_UNDER_WAY) return log.warn({ approval: approval.id }, 'too many notifications at once')
    underWay += 1
    send(deps, webhook, approval)
      .catch((error: unknown) => log.warn({ err: error, approval: approval.id }, 'the webhook could not be told'))
      .finally(() => (underWay -= 1))
  }
}

async function send(
  { client, clock, publicUrl }: NotifyDeps,
  { url, signing_secret: secret }: NonNullable<ApprovalsConfig['webhook']>,
  approval: ShownApproval,
): Promise<void> {
  const { id, userId, gateway, server, tool, rule, note, expiresAt } = approval
  const link = `${publicUrl()}/approve/${id}`
  const answer = `${publicUrl()}/approve/webhook`
  const told = { event: 'approval.requested', id, userId, gateway, server, tool, rule, note, expiresAt, link, answer }
  const body = JSON.stringify(told)
  for (let tries = 1; ; tries++) {
    const seconds = Math.floor(clock.now() / 1_000)
    const mac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')
    const credentials = { 'gatehouse-signature': `t=${seconds},v1=${mac}` }
    const headers = { 'content-type': 'application/json' }
    const signal = AbortSignal.timeout(TRY_MS)
    const request = { url, method: 'POST', headers, credentials, body, signal, maxBytes: 65_536 } as const
    const outcome = await client.request(request).catch((error: unknown) => ({ status: 599, error }))
    if (outcome.status < 400) return
    if (outcome.status < 500 || tries >= TRIES) throw new Error(`it answered with status ${outcome.status}`)
    await pause(200 * 4 ** tries)
  }
}
