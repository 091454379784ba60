import type { Context, Hono } from 'hono'
import * as z from 'zod'
import { isProblem, Problem } from '#kernel'
import { choosePassword } from './choose-password.ts'
import { requireAccountEntry } from './entry.ts'
import { accountPage } from '../pages/account.ts'
import { addPasskeyPage, makeCodesPage, passwordPage } from '../pages/change.ts'
import { recoveryCodesPage, totpPage } from '../pages/setup.ts'
import type { Account, Session } from '../ports.ts'
import { PROOF_NEEDED, SIGN_IN_EXPIRED } from '../problems.ts'
import type { SignInDeps } from '../service.ts'
import { keepSealed, readSealed } from './sign-in-routes.ts'
import { dropCookie, readForm, readScript, requireCsrf, signIn, visit, type Visit } from './visit.ts'

const CEREMONY_SECONDS = 300
/** For so long after a sign-in, factors may be changed. */
const FRESH_MS = 600_000

type Member = Visit & { readonly account: Account; readonly session: Session }
type Act = (member: Member, form: URLSearchParams) => Promise<Response>

/** `/account`: everything that can speak for somebody, and the way to end each. */
export function accountRoutes(app: Hono, deps: SignInDeps): void {
  const page = (path: string, isFresh: boolean, show: (member: Member) => Promise<Response>): void => {
    app.get(path, async (context) => {
      const member = await memberOf(deps, context)
      if (member === null || (isFresh && !(await hasFreshProof(deps, member))))
        return askAgain(context, path, member !== null)
      await requireAccountEntry(deps, member)
      return await show(member)
    })
  }
  const act = (path: string, isFresh: boolean, run: Act): void => {
    app.post(path, async (context) => {
      const member = await memberOf(deps, context)
      if (member === null) return askAgain(context, '/account', false)
      const form = await readForm(member)
      if (isFresh && !(await hasFreshProof(deps, member))) return askAgain(context, '/account', true)
      await requireAccountEntry(deps, member)
      return await run(member, form)
    })
  }
  page('/account', false, (member) => showAccount(deps, member))
  app.post('/account/sign-out', async (context) => {
    const member = await memberOf(deps, context)
    if (member === null) return askAgain(context, '/account', false)
    await readForm(member)
    return await signOut(deps, member) // whatever the login policy says
  })
  act('/account/sessions/end', false, (member, form) => endSession(deps, member, form))
  act('/account/sessions/end-others', false, (member) => endOthers(deps, member))
  act('/account/clients/revoke', false, (member, form) => revokeClient(deps, member, form))
  act('/account/notices/dismiss', false, (member, form) => dismissNotice(deps, member, form))
  act('/account/keys/revoke', false, (member, form) => revokeKey(deps, member, form))
  page('/account/password', true, async ({ context, frame, account }) => context.html(passwordPage(frame, account)))
  act('/account/password', true, (member, form) => changePassword(deps, member, form))
  page('/account/totp', true, (member) => showTotp(deps, member))
  act('/account/totp', true, (member, form) => confirmTotp(deps, member, form))
  act('/account/totp/remove', true, (member) => removeTotp(deps, member))
  page('/account/recovery-codes', true, async ({ context, frame }) =>
    context.html(makeCodesPage(frame, { isFirst: context.req.query('first') !== undefined })),
  )
  act('/account/recovery-codes', true, (member) => makeCodes(deps, member))
  page('/account/passkey', true, async ({ context, frame }) => context.html(addPasskeyPage(frame)))
  act('/account/passkeys/remove', true, (member, form) => removePasskey(deps, member, form))
  act('/account/links/remove', true, (member, form) => unlink(deps, member, form))
  passkeyRoutes(app, deps)
}

async function memberOf(deps: SignInDeps, context: Context): Promise<Member | null> {
  const visitor = await visit(deps, context)
  const { account, session } = visitor
  return account === null || session === null ? null : { ...visitor, account, session }
}

function askAgain(context: Context, path: string, isAgain: boolean): Response {
  return context.redirect(`/signin?return=${encodeURIComponent(path)}${isAgain ? '&again=1' : ''}`, 303)
}

/** A factor may be changed only right after the strongest sign-in that the account has; a weaker one enrols nothing. */
async function hasFreshProof(deps: SignInDeps, { session, account }: Member): Promise<boolean> {
  if (deps.clock.now() - session.signedInAt > FRESH_MS) return false
  if (session.factor === 'passkey' || session.factor === 'two-factor') return true
  const { hasPassword, hasTotp, passkeys } = await deps.accounts.factors(account.accountId)
  if (hasTotp || passkeys.length > 0) return false
  return session.factor === 'password' || !hasPassword
}

const DONE: Readonly<Record<string, string>> = {
  password: 'The password is set.',
  totp: 'The authenticator app is in use.',
  'totp-removed': 'The authenticator app is no longer used.',
  passkey: 'The passkey is added.',
  'passkey-removed': 'The passkey is removed.',
  session: 'That session has ended.',
  sessions: 'All other sessions have ended.',
  client: 'That program is disconnected.',
  key: 'That key is revoked.',
  link: 'The provider is linked.',
  unlinked: 'The provider is no longer linked.',
}

function done(context: Context, what: string): Response {
  return context.redirect(`/account?done=${what}`, 303)
}

async function showAccount(deps: SignInDeps, { context, frame, account, session }: Member): Promise<Response> {
  const { accountId, userId, name, role, groups } = account
  const [factors, sessions, keys, clients, links, notices] = await Promise.all([
    deps.accounts.factors(accountId),
    deps.sessions.list(accountId),
    deps.accounts.keys(userId),
    deps.server.grants(accountId),
    deps.sources.links(accountId),
    deps.server.notices(accountId),
  ])
  const linkable = deps.sources
    .buttons()
    .filter((source) => !links.some((link) => link.source === source.name))
    .map((source) => ({ title: source.title, href: `/signin/sources/${source.name}?link=1` }))
  const said = context.req.query('done') ?? ''
  const view = {
    userId,
    name,
    role,
    groups,
    notices,
    keys,
    clients,
    links,
    linkable,
    ...factors,
    sessions: sessions.map((one) => ({ ...one, isThis: one.id === session.id })),
    done: Object.hasOwn(DONE, said) ? (DONE[said] ?? null) : null,
  }
  return await context.html(accountPage(frame, view))
}

/** Records the change, then makes it. */
async function record(
  deps: SignInDeps,
  { account, from }: Member,
  what: string,
  extra: Record<string, string> = {},
): Promise<void> {
  const { userId } = account
  await deps.audit.record({
    what,
    decision: 'allowed',
    userId,
    face: 'web',
    extra: { address: from.address, ...extra },
  })
}

async function signOut(deps: SignInDeps, member: Member): Promise<Response> {
  await deps.sessions.end(member.account.accountId, member.session.id)
  dropCookie(deps, member.context, 'session')
  await deps.server.signOut(member.context.req.raw)
  return member.context.redirect('/signin', 303)
}

async function endSession(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  const id = form.get('id') ?? ''
  await deps.sessions.end(member.account.accountId, id)
  return done(member.context, 'session')
}

async function endOthers(deps: SignInDeps, member: Member): Promise<Response> {
  await deps.sessions.endOthers(member.account.accountId, member.session.id)
  return done(member.context, 'sessions')
}

async function revokeClient(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  const id = form.get('id') ?? ''
  await deps.server.revokeGrant(member.account.accountId, id)
  await record(deps, member, 'grant.disconnected', { grant: id.slice(0, 64) })
  return done(member.context, 'client')
}

async function dismissNotice(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  await deps.server.dismissNotice(member.account.accountId, form.get('id') ?? '')
  return member.context.redirect('/account', 303)
}

async function revokeKey(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  await deps.accounts.revokeKey(member.account.userId, form.get('id') ?? '')
  return done(member.context, 'key')
}

async function changePassword(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  const { context, frame, account } = member
  const chosen = choosePassword(form)
  try {
    if (!chosen.ok) throw new Problem(PROOF_NEEDED, chosen.trouble)
    await deps.accounts.setPassword(account.accountId, chosen.password)
  } catch (error) {
    if (!isProblem(error)) throw error
    context.status(400)
    return await context.html(passwordPage(frame, { userId: account.userId, trouble: error.message }))
  }
  await deps.sessions.endOthers(account.accountId, member.session.id)
  return done(context, 'password')
}

/** What the app is shown; kept in the browser, sealed, so that a mistyped code does not end it. */
const totpDraft = z.object({ secret: z.string(), uri: z.string() })
const DRAFT_SECONDS = 1_800

async function showTotp(deps: SignInDeps, member: Member): Promise<Response> {
  const draft = await deps.accounts.beginTotp(member.account.accountId)
  keepSealed(deps, member, { name: 'totp', value: draft, seconds: DRAFT_SECONDS })
  return await askForCode(member, draft, null)
}

async function askForCode(
  { context, frame }: Member,
  draft: z.output<typeof totpDraft>,
  trouble: string | null,
): Promise<Response> {
  const isFirst = context.req.query('first') !== undefined
  const skip = isFirst
    ? { href: '/account/recovery-codes?first=1', label: 'Later' }
    : { href: '/account', label: 'Back to your account' }
  const action = isFirst ? '/account/totp?first=1' : '/account/totp'
  return await context.html(totpPage(frame, { action, ...draft, trouble, skip }))
}

async function confirmTotp(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  const { context, account } = member
  const draft = totpDraft.safeParse(readSealed(deps, member, 'totp')).data
  if (draft === undefined) return await showTotp(deps, member)
  try {
    await deps.accounts.finishTotp(account.accountId, (form.get('code') ?? '').slice(0, 64))
  } catch (error) {
    if (!isProblem(error)) throw error
    context.status(400)
    return await askForCode(member, draft, error.message)
  }
  dropCookie(deps, context, 'totp')
  // Both factors were proved in these minutes.
  if (member.session.factor === 'password')
    await signIn(deps, member, { accountId: account.accountId, factor: 'two-factor' })
  if (context.req.query('first') === undefined) return done(context, 'totp')
  return context.redirect('/account/recovery-codes?first=1', 303)
}

async function removeTotp(deps: SignInDeps, member: Member): Promise<Response> {
  await deps.accounts.removeTotp(member.account.accountId)
  return done(member.context, 'totp-removed')
}

async function makeCodes(deps: SignInDeps, member: Member): Promise<Response> {
  const codes = await deps.accounts.makeRecoveryCodes(member.account.accountId)
  const next = { href: '/account', label: 'I have kept them' }
  return await member.context.html(recoveryCodesPage(member.frame, { codes, next }))
}

async function removePasskey(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  const id = form.get('id') ?? ''
  await deps.accounts.removePasskey(member.account.accountId, id)
  return done(member.context, 'passkey-removed')
}

async function unlink(deps: SignInDeps, member: Member, form: URLSearchParams): Promise<Response> {
  const source = form.get('source') ?? ''
  await record(deps, member, 'identity.unlinked', { source: source.slice(0, 64) })
  await deps.sources.unlink(member.account.accountId, source)
  return done(member.context, 'unlinked')
}

const answerOf = z.object({ answer: z.looseObject({}), name: z.string().trim().min(1).max(60).catch('Passkey') })

/** Asked by our script, so they answer with JSON. */
function passkeyRoutes(app: Hono, deps: SignInDeps): void {
  const freshMember = async (context: Context): Promise<Member> => {
    const member = await memberOf(deps, context)
    if (member !== null) requireCsrf(member, context.req.header('x-csrf'))
    if (member !== null && (await hasFreshProof(deps, member))) {
      await requireAccountEntry(deps, member)
      return member
    }
    throw new Problem(PROOF_NEEDED, 'Sign in once more, with your strongest factor, and add the passkey then.')
  }
  app.post('/account/passkey/options', async (context) => {
    const member = await freshMember(context)
    const { options, state } = await deps.accounts.beginPasskey(member.account.accountId)
    keepSealed(deps, member, { name: 'ceremony', value: state, seconds: CEREMONY_SECONDS })
    return context.json(options)
  })
  app.post('/account/passkey', async (context) => {
    const member = await freshMember(context)
    const state = z.string().safeParse(readSealed(deps, member, 'ceremony')).data
    dropCookie(deps, context, 'ceremony')
    if (state === undefined) throw new Problem(SIGN_IN_EXPIRED, 'Start with the passkey once more.')
    const { answer, name } = await readScript(member, answerOf)
    await deps.accounts.finishPasskey(member.account.accountId, { state, answer, name })
    return context.json({ location: '/account?done=passkey' })
  })
}
