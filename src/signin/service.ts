import type { Approvals } from '#approvals'
import type { Audit } from '#audit'
import type { LoginPolicy } from '#login'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { Accounts, AuthorizationServer, Sessions } from './ports.ts'
import type { Seal } from './seal.ts'
import type { Sources } from './sources/service.ts'

/** Everything that the pages stand on. */
export type SignInDeps = {
  readonly accounts: Accounts
  readonly sessions: Sessions
  readonly server: AuthorizationServer
  readonly sources: Sources
  readonly loginPolicy: Pick<LoginPolicy, 'mayEnter' | 'test'>
  readonly approvals: Pick<Approvals, 'show' | 'mayAnswer' | 'answer' | 'answerSigned' | 'findByLink'>
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly log: Log
  readonly seal: Seal
  /** Forms are signed with it. The same on all replicas. */
  readonly csrfKey: Buffer
  readonly publicUrl: () => string
}
