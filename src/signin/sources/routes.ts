import { createHash } from 'node:crypto'
import type { Hono } from 'hono'
import * as z from 'zod'
import { Problem } from '#kernel'
import { previewPage } from '../pages/preview.ts'
import { messagePage } from '../pages/message.ts'
import { PROOF_NEEDED, SIGN_IN_EXPIRED, SOURCE_REFUSED } from '../problems.ts'
import { requireAccountEntry } from '../visits/entry.ts'
import { returnPath } from '../visits/return-to.ts'
import type { SignInDeps } from '../service.ts'
import { keepSealed, readSealed, settle } from '../visits/sign-in-routes.ts'
import { dropCookie, visit, type Visit } from '../visits/visit.ts'
import { callbackUrlOf } from './callback.ts'
import type { Vouched } from './claims.ts'
import { pendingCheck } from './upstream.ts'

const AWAY_SECONDS = 600
const FRESH_MS = 600_000

/** What the browser keeps, sealed, while its user is at the source. */
const away = z.object({
  source: z.string(),
  check: pendingCheck,
  returnTo: z.string(),
  purpose: z.enum(['sign-in', 'link', 'preview']),
  /** Who began, where somebody was signed in: nobody else may end it. */
  accountId: z.string().nullable(),
})
type Away = z.output<typeof away>

/** `/signin/sources/{name}`: to another identity provider and back. */
export function sourceRoutes(app: Hono, deps: SignInDeps): void {
  app.get('/signin/sources/:name', async (context) => leave(deps, await visit(deps, context)))
  app.get('/signin/sources/:name/callback', async (context) => comeBack(deps, await visit(deps, context)))
}

async function leave(deps: SignInDeps, visitor: Visit): Promise<Response> {
  const { context, account } = visitor
  const name = context.req.param('name') ?? ''
  const purpose = purposeOf(context.req.query('link'), context.req.query('preview'))
  if (purpose !== 'sign-in' && account === null) return context.redirect('/signin?return=/account', 303)
  if (purpose === 'preview' && account?.role !== 'admin')
    throw new Problem(PROOF_NEEDED, 'Only administrators may look at what a source says before it is switched on.')
  if (purpose === 'link') requireFresh(deps, visitor)
  if (purpose !== 'sign-in') await requireAccount(deps, visitor)
  const { url, pending } = await deps.sources.begin(name, callbackUrlOf(deps, name), {
    isPreview: purpose === 'preview',
  })
  const returnTo = purpose === 'link' ? '/account' : returnPath(context.req.query('return'))
  const kept: Away = { source: name, check: pending, returnTo, purpose, accountId: account?.accountId ?? null }
  keepSealed(deps, visitor, { name: cookieFor(pending.state), value: kept, seconds: AWAY_SECONDS })
  return context.redirect(url, 303)
}

function purposeOf(link: string | undefined, preview: string | undefined): Away['purpose'] {
  if (preview !== undefined) return 'preview'
  return link === undefined ? 'sign-in' : 'link'
}

/** One cookie for each journey, so that two tabs do not end each other's. */
function cookieFor(state: string): string {
  return `away-${createHash('sha256').update(state).digest('hex').slice(0, 16)}`
}

async function comeBack(deps: SignInDeps, visitor: Visit): Promise<Response> {
  const { context } = visitor
  const name = context.req.param('name') ?? ''
  const query = new URL(context.req.url).search
  const cookie = cookieFor(context.req.query('state') ?? '')
  const kept = away.safeParse(readSealed(deps, visitor, cookie)).data
  dropCookie(deps, context, cookie)
  // Without it this browser never left: somebody else's answer, sent to sign this browser in as them.
  if (kept === undefined || kept.source !== name)
    throw new Problem(SIGN_IN_EXPIRED, 'This sign-in was not begun in this browser, or it took too long. Start again.')
  try {
    const { claims, reading } = await deps.sources.finish(
      name,
      new URL(`${callbackUrlOf(deps, name)}${query}`),
      kept.check,
    )
    if (kept.purpose === 'preview') {
      requireSame(visitor, kept)
      await requireAccount(deps, visitor)
      const preview = await deps.sources.preview(name, claims)
      return await context.html(previewPage(visitor.frame, { source: name, claims, preview }))
    }
    if (!reading.ok) throw new Problem(SOURCE_REFUSED, `You could not be signed in: ${reading.reason}.`)
    return await arrive(deps, visitor, { kept, person: reading.person })
  } catch (error) {
    if (error instanceof Problem) await recordRefusal(deps, visitor, { source: name, error })
    throw error
  }
}

async function arrive(
  deps: SignInDeps,
  visitor: Visit,
  { kept, person }: { kept: Away; person: Vouched },
): Promise<Response> {
  const { context } = visitor
  if (kept.purpose === 'link') {
    requireSame(visitor, kept)
    requireFresh(deps, visitor)
    await requireAccount(deps, visitor)
    await deps.sources.link(person, visitor.account?.accountId ?? '')
    return context.redirect('/account?done=link', 303)
  }
  const arrival = await deps.sources.arrive(person)
  switch (arrival.kind) {
    case 'known':
      await settle(deps, visitor, { accountId: arrival.accountId, factor: 'upstream', source: person.source })
      return context.redirect(kept.returnTo, 303)
    case 'must-link':
      context.status(403)
      return await context.html(
        messagePage(visitor.frame, {
          title: 'You have an account here',
          text: `There is an account "${arrival.userId}" already. Sign in to it as you do otherwise, and link this provider on your account page. After that, its button signs you in.`,
          next: { label: 'Sign in', href: `/signin?return=${encodeURIComponent('/account')}` },
        }),
      )
  }
}

function requireSame({ account }: Visit, kept: Away): void {
  if (account !== null && account.accountId === kept.accountId) return
  throw new Problem(SIGN_IN_EXPIRED, 'Somebody else is signed in now than when this was begun. Start again.')
}

/** Whoever links an identity adds a way in, so they prove a local factor first. */
function requireFresh(deps: SignInDeps, { session }: Visit): void {
  const isFresh = session !== null && deps.clock.now() - session.signedInAt <= FRESH_MS
  if (isFresh && session.factor !== 'upstream') return
  throw new Problem(
    PROOF_NEEDED,
    'Sign in once more with a factor of this house (not by another provider), and link it then.',
  )
}

async function requireAccount(deps: SignInDeps, visitor: Visit): Promise<void> {
  const { account, session } = visitor
  if (account !== null && session !== null) await requireAccountEntry(deps, { ...visitor, account, session })
}

async function recordRefusal(
  deps: SignInDeps,
  visitor: Visit,
  { source, error }: { source: string; error: Problem },
): Promise<void> {
  const extra = { source: source.slice(0, 40), problem: error.kind.code, address: visitor.from.address }
  await deps.audit.record({
    what: 'sign-in.attempted',
    decision: 'denied',
    face: 'web',
    reason: error.kind.title,
    extra,
  })
}
