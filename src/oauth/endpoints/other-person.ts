import type Provider from 'oidc-provider'
import type { Log } from '#telemetry'
import { endSession } from './logout.ts'

type Context = Parameters<Parameters<Provider['use']>[0]>[0]

/**
 * Two people use one browser after each other: the pages let the second one in, while the library still knows the first
 * and would show a page of its own that signs them out. What it knows of the first ends before it looks.
 */
export async function forgetOtherPerson(
  ctx: Context,
  next: () => Promise<void>,
  { provider, cookies, log }: { provider: Provider; cookies: { session: string; resume: string }; log: Log },
): Promise<void> {
  const uid = ctx.path.startsWith('/oauth/authorize/') ? ctx.cookies.get(cookies.resume) : undefined
  const interaction = uid === undefined ? undefined : await provider.Interaction.find(uid)
  const accountId = interaction?.result?.login?.accountId
  const sessionId = accountId === undefined ? undefined : ctx.cookies.get(cookies.session)
  const session = sessionId === undefined ? undefined : await provider.Session.find(sessionId)
  if (interaction !== undefined && session?.accountId !== undefined && session.accountId !== accountId) {
    await endSession(provider, session, log)
    delete interaction.session
    await interaction.save(Math.max(1, interaction.exp - Math.floor(Date.now() / 1_000)))
  }
  await next()
}
