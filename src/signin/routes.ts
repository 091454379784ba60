import type { Handlers } from '#http'
import type { signInContract } from './contract.ts'
import { callbackUrlOf } from './sources/callback.ts'
import type { Sources } from './sources/service.ts'
import { titleOf } from './sources/upstream.ts'

/** Answers the operations of `signInContract`. */
export function signInApiRoutes(deps: { sources: Sources; publicUrl: () => string }): Handlers<typeof signInContract> {
  return {
    listIdentitySources: () => ({
      sources: deps.sources.list().map((source) => {
        const { name, kind, issuer, enabled } = source
        return { name, title: titleOf(source), kind, issuer, enabled, redirectUri: callbackUrlOf(deps, name) }
      }),
    }),
    previewIdentity: async ({ params, body }) => {
      const { reading, outcome, userId, reason } = await deps.sources.preview(params.name, body.claims)
      const person = reading.ok ? reading.person : null
      const { subject = null, name = null, groups = [] } = person ?? {}
      return { outcome, userId, reason, subject, name, groups }
    },
  }
}
