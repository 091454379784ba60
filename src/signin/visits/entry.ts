import { Problem } from '#kernel'
import type { Account, Session } from '../ports.ts'
import { NOT_LET_IN } from '../problems.ts'
import type { SignInDeps } from '../service.ts'
import type { Visit } from './visit.ts'

/** Asks the login policy. A live session does not spare anybody its answer. Throws a Problem when it says no. */
export async function requireEntry(
  deps: SignInDeps,
  visitor: Visit,
  { account, session, services }: { account: Account; session: Session; services: readonly string[] },
): Promise<void> {
  const decision = deps.loginPolicy.mayEnter({
    user: account.userId,
    account: 'person',
    role: account.role,
    groups: account.groups,
    services,
    address: visitor.from.address,
    factor: session.factor,
  })
  if (decision.effect === 'allow') return
  const extra = { rule: decision.winner, factor: session.factor, address: visitor.from.address }
  const event = { what: 'sign-in.policy', userId: account.userId, face: 'web', reason: decision.reason, extra }
  await deps.audit.record({ ...event, decision: 'denied', gateway: services[0] })
  throw new Problem(
    NOT_LET_IN,
    `You are signed in as ${account.userId}, but may not use "${services[0] ?? ''}" like this. Signing in more strongly, or from another network, may help; an administrator can tell you.`,
  )
}

/** For whatever somebody does about themselves, or as an administrator, on the pages of this house. */
export function requireAccountEntry(
  deps: SignInDeps,
  visitor: Visit & { readonly account: Account; readonly session: Session },
): Promise<void> {
  return requireEntry(deps, visitor, { ...visitor, services: ['account'] })
}
