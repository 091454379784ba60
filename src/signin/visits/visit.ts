import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Context } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import type * as z from 'zod'
import { peerAddress } from '#http'
import { Problem } from '#kernel'
import type { Frame } from '../pages/layout.ts'
import { ASSETS } from '../pages/assets.ts'
import type { Account, From, Session } from '../ports.ts'
import { BAD_FORM, FORGED_FORM } from '../problems.ts'
import type { SignInDeps } from '../service.ts'

/** One request of a browser, with what is known of who sits before it. */
export type Visit = {
  readonly context: Context
  readonly from: From
  readonly frame: Frame
  readonly session: Session | null
  readonly account: Account | null
}

const SESSION_DAYS = 30

/** Reads the cookies of a request. The browser gets a name of its own on its first visit, which forms are bound to. */
export async function visit(deps: SignInDeps, context: Context): Promise<Visit> {
  const browser = getCookie(context, cookieName(deps, 'browser')) ?? nameBrowser(deps, context)
  const token = getCookie(context, cookieName(deps, 'session')) ?? null
  const session = token === null ? null : await deps.sessions.find(token)
  const account = session === null ? null : await deps.accounts.find(session.accountId)
  const nonce = randomBytes(18).toString('base64url')
  context.set('nonce', nonce)
  const frame = { nonce, csrf: csrfOf(deps, browser, account === null ? null : token), ...ASSETS.addresses }
  const from = { address: peerAddress(context.req.raw), agent: agentOf(context.req.header('user-agent')) }
  return { context, from, frame, session: account === null ? null : session, account }
}

function nameBrowser(deps: SignInDeps, context: Context): string {
  const name = randomBytes(18).toString('base64url')
  keepCookie(deps, context, { name: 'browser', value: name })
  return name
}

/** A form belongs to a browser and to the session it was shown in, so it ends with that. */
function csrfOf(deps: SignInDeps, browser: string, token: string | null): string {
  return createHmac('sha256', deps.csrfKey)
    .update(`${browser}\n${token ?? ''}`)
    .digest('base64url')
}

/** Refuses a form or a script's request that was not made by a page which we showed in this very browser and session. */
export function requireCsrf(visit: Visit, sent: string | null | undefined): void {
  const expected = Buffer.from(visit.frame.csrf)
  const given = Buffer.from(sent ?? '')
  if (given.length === expected.length && timingSafeEqual(given, expected)) return
  throw new Problem(
    FORGED_FORM,
    'This page was open for too long, or you have signed in or out since. Go back, reload it and try again.',
  )
}

/** The form that was sent, once it is known to be ours. */
export async function readForm(visit: Visit): Promise<URLSearchParams> {
  const form = new URLSearchParams(await visit.context.req.text())
  requireCsrf(visit, form.get('csrf'))
  return form
}

/** What our script sent, once it is known to be ours. */
export async function readScript<T>(visit: Visit, schema: z.ZodType<T>): Promise<T> {
  const { req } = visit.context
  requireCsrf(visit, req.header('x-csrf'))
  const sent: unknown = await req.json().catch(() => null)
  const parsed = schema.safeParse(sent)
  if (parsed.success) return parsed.data
  throw new Problem(BAD_FORM, 'The page sent something that cannot be read. Reload it and try again.')
}

/** Signs this browser in as somebody, under a session and a form token that nobody knew before. */
export async function signIn(
  deps: SignInDeps,
  visit: Visit,
  who: { accountId: string; factor: Session['factor'] },
): Promise<void> {
  if (visit.session !== null) await deps.sessions.end(visit.session.accountId, visit.session.id)
  const { token } = await deps.sessions.start({ ...who, from: visit.from })
  keepCookie(deps, visit.context, { name: 'session', value: token, days: SESSION_DAYS })
  nameBrowser(deps, visit.context)
}

/** Lets the form of this page lead on to there. */
export function leadOn(context: Context, onward: string): void {
  context.set('onward', onward)
}

type Kept = { readonly name: string; readonly value: string; readonly days?: number; readonly seconds?: number }

/** Sets one of our cookies: unreadable for scripts, and on https bound to this very host. */
export function keepCookie(deps: SignInDeps, context: Context, { name, value, days, seconds }: Kept): void {
  const maxAge = days === undefined ? seconds : days * 86_400
  setCookie(context, cookieName(deps, name), value, {
    path: '/',
    httpOnly: true,
    // Lax: whoever comes from a client's page to its authorization is signed in; a form from elsewhere is not.
    sameSite: 'Lax',
    secure: isSecure(deps),
    ...(maxAge === undefined ? {} : { maxAge }),
  })
}

export function dropCookie(deps: SignInDeps, context: Context, name: string): void {
  keepCookie(deps, context, { name, value: '', seconds: 0 })
}

export function readCookie(deps: SignInDeps, context: Context, name: string): string | undefined {
  return getCookie(context, cookieName(deps, name))
}

/** RFC 6265bis §4.1.3.2: a name with `__Host-` can be set by this host over https only. */
export function cookieName(deps: Pick<SignInDeps, 'publicUrl'>, name: string): string {
  return `${isSecure(deps) ? '__Host-' : ''}gatehouse-${name}`
}

export function isSecure(deps: Pick<SignInDeps, 'publicUrl'>): boolean {
  return deps.publicUrl().startsWith('https:')
}

/** `Firefox on Linux`, or the start of whatever was sent. */
function agentOf(header: string | undefined): string {
  if (header === undefined || header === '') return 'An unknown program'
  const browser = BROWSERS.find(([mark]) => header.includes(mark))?.[1]
  const system = SYSTEMS.find(([mark]) => header.includes(mark))?.[1]
  if (browser === undefined) return header.slice(0, 60)
  return system === undefined ? browser : `${browser} on ${system}`
}

const BROWSERS = [
  ['Edg/', 'Edge'],
  ['OPR/', 'Opera'],
  ['Firefox/', 'Firefox'],
  ['Chrome/', 'Chrome'],
  ['Safari/', 'Safari'],
] as const
const SYSTEMS = [
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['Android', 'Android'],
  ['Windows', 'Windows'],
  ['Mac OS', 'macOS'],
  ['CrOS', 'ChromeOS'],
  ['Linux', 'Linux'],
] as const
