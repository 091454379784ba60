import type Provider from 'oidc-provider'
import type { Log } from '#telemetry'

/** The sessions of browsers with this house itself, which the library knows nothing of. */
export type BrowserSessions = {
  /** Whose session this browser has. */
  find(cookie: string): Promise<{ readonly userId: string } | null>
  /** Ends it. Resolves with the cookies that the browser is given for it. */
  end(cookie: string): Promise<readonly string[]>
}

/** The page on which a person says whether they want to be signed out. */
export type LogoutPage = (view: {
  readonly action: string
  readonly token: string
  /** Null: nobody is signed in at this browser. */
  readonly userId: string | null
  /** What sent the person here, in its own words. */
  readonly clientName: string | null
  /** Where they go from here; null: nowhere. */
  readonly onward: string | null
}) => Promise<{ readonly headers: Readonly<Record<string, string>>; readonly body: string }>

type Context = Parameters<Parameters<Provider['use']>[0]>[0]
type Session = InstanceType<Provider['Session']>
type Deps = { readonly browsers: BrowserSessions; readonly logoutPage: LogoutPage }

const START = '/oauth/end-session'
const CONFIRMED = '/oauth/end-session/confirm'

/**
 * OpenID Connect RP-Initiated Logout 1.0: a program may ask for it, a person decides, on a page of the house and by a
 * button, whether anybody is signed in or not. The library would lead on by itself where nobody is, and thereby send
 * people wherever a program that registered itself wants them. A yes ends the session with the house as well.
 */
export async function askBeforeLogout(ctx: Context, next: () => Promise<void>, deps: Deps): Promise<void> {
  await next()
  if (ctx.path === START && ctx.status === 200) return showLogout(ctx, deps)
  if (ctx.path !== CONFIRMED || ctx.status !== 303 || ctx.oidc.params?.['logout'] === undefined) return
  ctx.append('set-cookie', [...(await deps.browsers.end(ctx.get('cookie')))])
}

async function showLogout(ctx: Context, { browsers, logoutPage }: Deps): Promise<void> {
  const { session, client } = ctx.oidc
  const token = session?.state?.['secret']
  const onward = session?.state?.['postLogoutRedirectUri']
  const person = await browsers.find(ctx.get('cookie'))
  const page = await logoutPage({
    action: CONFIRMED,
    token: typeof token === 'string' ? token : '',
    userId: person?.userId ?? null,
    clientName: client === undefined ? null : (client.clientName ?? client.clientId),
    onward: typeof onward === 'string' ? onward : null,
  })
  ctx.set({ ...page.headers })
  ctx.body = page.body
}

/** Ends a session and tells of it. A program that cannot be reached keeps nobody signed in. */
export async function endSession(provider: Provider, session: Session, log: Log): Promise<void> {
  await session.destroy()
  await tellPrograms(provider, session, log)
}

/**
 * OpenID Connect Back-Channel Logout 1.0: tells every program that was let in from this session, and asked to hear of
 * it, that it has ended. Never rejects; the log says who could not be told.
 */
export async function tellPrograms(provider: Provider, session: Session, log: Log): Promise<void> {
  const { accountId = '' } = session
  const told = Object.keys(session.authorizations ?? {}).map(async (clientId) => {
    const client = await provider.Client.find(clientId)
    if (client?.backchannelLogoutUri === undefined) return
    const tell = client['backchannelLogout'] // the types of the library do not tell of it
    if (typeof tell === 'function') await Reflect.apply(tell, client, [accountId, session.sidFor(clientId)])
  })
  for (const outcome of await Promise.allSettled(told))
    if (outcome.status === 'rejected') log.warn({ err: outcome.reason }, NOT_TOLD)
}

/** What the log says of a program that was not told; the library tells them too, where a program asks for the end. */
export const NOT_TOLD = 'a program could not be told that somebody signed out'
