import { parse, serialize } from 'hono/utils/cookie'
import type { Identity } from '#identity'
import { sessionsFrom } from './from-identity.ts'
import { cookieName, isSecure } from './visits/visit.ts'

/** The sessions that browsers have with the pages, for rooms that see only the cookies of a request. */
export function openBrowserSessions(deps: { readonly identity: Identity; readonly publicUrl: () => string }) {
  const sessions = sessionsFrom(deps.identity)
  const find = async (cookie: string) => {
    const token = parse(cookie)[cookieName(deps, 'session')]
    return token === undefined ? null : sessions.find(token)
  }
  return {
    /** Whose session this browser has. */
    find: async (cookie: string): Promise<{ userId: string } | null> => {
      const session = await find(cookie)
      return session === null ? null : deps.identity.directory().findByAccountId(session.accountId)
    },
    /** Ends it. Resolves with the cookies that take it from the browser. */
    end: async (cookie: string): Promise<readonly string[]> => {
      const session = await find(cookie)
      if (session !== null) await sessions.end(session.accountId, session.id)
      const gone = { path: '/', httpOnly: true, sameSite: 'Lax', secure: isSecure(deps), maxAge: 0 } as const
      return [serialize(cookieName(deps, 'session'), '', gone)]
    },
  }
}
