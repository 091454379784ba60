import type { Hono } from 'hono'
import type { Approvals } from '#approvals'
import type { Audit } from '#audit'
import { createEgress } from '#http'
import type { Identity } from '#identity'
import type { Clock } from '#kernel'
import type { LoginPolicy } from '#login'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { createSignInPages } from './app.ts'
import { accountsFrom, sessionsFrom } from './from-identity.ts'
import type { AuthorizationServer } from './ports.ts'
import { createSeal } from './seal.ts'
import type { IdentitySource } from './sources/config.ts'
import { createSources, type Sources } from './sources/service.ts'
import { createSignInStore } from './store.ts'

export type SignInOptions = {
  readonly storage: Storage
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly log: Log
  readonly identity: Identity
  readonly approvals: Approvals
  readonly loginPolicy: LoginPolicy
  readonly sources: readonly IdentitySource[]
  readonly publicUrl: () => string
  readonly server: AuthorizationServer
}

export type SignIn = {
  /** `/signin`, `/setup`, `/device` and `/account`. */
  readonly pages: Hono
  readonly sources: Sources
  close(): Promise<void>
}

/** The pages over the rooms of this house. Keys are shared by all replicas, so each answers what another began. */
export async function openSignIn(options: SignInOptions): Promise<SignIn> {
  const { storage, audit, clock, log, identity, approvals, loginPolicy, publicUrl, server } = options
  const accounts = accountsFrom(identity)
  const egress = createEgress({ log })
  const store = createSignInStore(storage)
  const sources = createSources({ sources: options.sources, accounts, store, egress, audit, clock })
  const seal = createSeal(await storage.sharedKey('signin.seal'))
  const csrfKey = await storage.sharedKey('signin.forms')
  const ground = { approvals, audit, clock, log, loginPolicy, publicUrl, seal, csrfKey }
  const pages = createSignInPages({ ...ground, accounts, sessions: sessionsFrom(identity), server, sources })
  return { pages, sources, close: () => sources.close() }
}
