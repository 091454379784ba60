/**
 * Following one resource: who may read it may follow it, for as long as they may, and its address passes the content
 * rules as the address of a read does. Only what a content rule refuses is recorded: following by itself shows nothing.
 */
import { BLOCKED_INPUT, type Screened, type Subject } from '#content'
import { Problem } from '#kernel'
import type { Member } from '#identity'
import type { Policy } from '#policy'
import { mayUse } from '../call/authorize.ts'
import type { CallDeps } from '../call/deps.ts'
import { findResource } from '../call/resolve.ts'
import { screenSession } from '../call/screened-caller.ts'
import type { House } from '../house.ts'
import { identityOfCaller, type SignIdentity } from './identity-token.ts'
import { renewed } from './principal.ts'
import { NOT_ALLOWED } from '../problems.ts'
import type { Tools } from '../tools.ts'
import type { GatewayView } from '../views/view.ts'

type Deps = Pick<CallDeps, 'audit' | 'content'> & {
  readonly house: Pick<House, 'server'>
  readonly policy: Policy
  readonly signIdentity: SignIdentity
  readonly findMember: (userId: string) => Member | null
}
type Subscription = Parameters<Tools['subscribe']>[0]

/** The returned function ends it. Throws `NOT_ALLOWED` alike for what does not exist, and `content/blocked-input`. */
export async function subscribe(
  deps: Deps,
  view: GatewayView,
  subscription: Subscription,
): Promise<() => Promise<void>> {
  const { admission, session, uri } = subscription
  const found = findResource(view, uri)
  const server = found ? deps.house.server(found.server) : undefined
  const refused = new Problem(NOT_ALLOWED, `Resource not found: ${JSON.stringify(uri.slice(0, 200))}`)
  if (!found || !server?.source.subscribe) throw refused
  const { things, pages } = found
  const mayRead = (): boolean => {
    const wanted = { action: 'read', things, pages, session } as const
    const { effect, approval } = mayUse(deps.policy, renewed(admission, deps.findMember), wanted)
    // Following is no single call that a person could approve.
    return effect === 'allow' && approval === undefined
  }
  if (!mayRead()) throw refused
  const { name, tags } = server.config
  const user = { userId: admission.userId, groups: admission.principal.groups }
  const subject = { gateway: admission.gateway, server: { name, tags }, thing: null, user }
  await screenAddress(deps, { ...subject, thing: found.original }, subscription)
  const { principal, gateway } = admission
  const identity = identityOfCaller(deps.signIdentity, server.config, { principal, gateway })
  return server.source.subscribe({
    ...(identity === undefined ? {} : { identity }),
    session: screenSession(deps.content, subject, session),
    uri: found.original,
    onUpdated: (params) => {
      // What was taken back since is heard of no more.
      if (mayRead()) subscription.onUpdated(params['uri'] === found.original ? { ...params, uri } : params)
    },
  })
}

/** With a part taken out it would be the address of something else, so whatever a rule finds in it ends the matter. */
async function screenAddress({ audit, content }: Deps, subject: Subject, { admission, uri }: Subscription) {
  if (!content.concerns('input', subject)) return
  const screened = await content.screen('input', subject, { kind: 'params', value: { uri } })
  if (screened.outcome === 'passes') return
  const rule = ruleOf(screened)
  const reason = `This did not go to the server: the content rule "${rule}" does not let it pass.`
  const { userId, keyId, gateway } = admission
  await audit.record({
    what: 'resources/subscribe',
    decision: 'denied',
    reason,
    userId,
    keyId,
    gateway,
    server: subject.server.name,
    extra: { rule: `content:${rule}` },
  })
  throw new Problem(BLOCKED_INPUT, reason, { rule })
}

function ruleOf({ by, applied }: Screened): string {
  return by?.name ?? applied[0]?.name ?? 'too deep'
}
